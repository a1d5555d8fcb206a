/*===- generate.c - A compiled model makes text, through the C API --------===*\
 *
 *   cc -std=c11 -I include examples/generate.c -L build/lib -llowbit_runtime \
 *      -Wl,-rpath,$PWD/build/lib -o generate
 *   ./generate books.lowbit "It was upon the evening" 64
 *
 * Prints the prompt and up to so many tokens after it, always the likeliest.
 * The artifact must have been compiled here: what another made can execute
 * anything, so opening it needs `options.trust`.
 *
\*===----------------------------------------------------------------------===*/
#include "lowbit/Runtime/lowbit_runtime.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every call that can fail returns NULL or an error with one line of text. */
static void check(lowbit_error *error) {
  if (!error)
    return;
  int code = lowbit_error_code(error);
  fprintf(stderr, "generate: %s\n", lowbit_error_message(error));
  lowbit_error_free(error);
  exit(code);
}

/* Called for each token with the whole characters that it completes. */
static int32_t print_token(void *user, int32_t id, const char *text,
                           size_t bytes) {
  (void)user;
  (void)id;
  fwrite(text, 1, bytes, stdout);
  return fflush(stdout) == 0; /* 0 stops. */
}

int main(int argc, char **argv) {
  if (argc != 4 || atoll(argv[3]) < 1) {
    fprintf(stderr, "usage: generate MODEL.lowbit PROMPT TOKENS\n");
    return 2;
  }
  const char *path = argv[1], *prompt = argv[2];

  /* A model is the mapped file; any number of contexts can share it. */
  lowbit_model *model = NULL;
  check(lowbit_model_open(path, NULL, &model));

  /* A context has threads and memory; a sequence in it is one text. */
  lowbit_context *context = NULL;
  int32_t sequence = 0;
  check(lowbit_context_create(model, NULL, &context));
  check(lowbit_sequence_create(context, &sequence));

  int32_t *ids = NULL;
  size_t count = 0;
  check(lowbit_tokenize(model, prompt, strlen(prompt), /*add_special=*/1,
                        /*parse_special=*/0, &ids, &count));

  lowbit_generate_options options;
  lowbit_generate_options_init(&options);
  options.sampler.temperature = 0; /* The likeliest token. */
  options.max_tokens = atoll(argv[3]);
  lowbit_generate_result result = {.size = sizeof(result)};
  fputs(prompt, stdout);
  check(lowbit_generate(context, sequence, ids, count, &options, print_token,
                        NULL, &result));
  putchar('\n');
  fprintf(stderr, "%lld tokens, stopped: %s\n", (long long)result.tokens,
          lowbit_stop_name(result.stop));

  lowbit_free(ids);
  lowbit_context_free(context);
  lowbit_model_close(model);
  return ferror(stdout) ? 5 : 0;
}
