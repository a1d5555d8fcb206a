/* Runs recorded kernel calls on a machine of another architecture.
 *
 *   replay CODE.so CALLS RESULTS
 *
 * CALLS is a sequence of calls, all numbers i64 of this machine's byte order:
 * length and bytes of the kernel's name; rows, items, scratch bytes, number of
 * arguments; for each argument its size and bytes. RESULTS gets the bytes of
 * all arguments after each call. Exit code 1 and a line on anything wrong. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { mostArguments = 32, slack = 64 };

typedef void (*kernel)(uint8_t *const *, int64_t, int64_t, int64_t, uint8_t *);
struct entry {
  const char *name;
  uint32_t variant, reserved;
  kernel function;
};
struct table {
  uint32_t abi, count;
  const struct entry *entries;
};

static void fail(const char *what) {
  fprintf(stderr, "replay: %s\n", what);
  exit(1);
}

static int64_t readNumber(FILE *file) {
  int64_t value;
  if (fread(&value, 8, 1, file) != 1)
    fail("calls end early");
  return value;
}

/* Bytes aligned to 64, followed by slack. */
static uint8_t *allocate(int64_t size) {
  uint8_t *bytes = aligned_alloc(64, (size_t)(size + slack + 63) / 64 * 64);
  if (!bytes)
    fail("no memory");
  memset(bytes + size, 0xFF, slack);
  return bytes;
}

static kernel find(const struct table *table, const char *name) {
  for (uint32_t i = 0; i < table->count; ++i)
    if (strcmp(table->entries[i].name, name) == 0 &&
        table->entries[i].variant == 0)
      return table->entries[i].function;
  fail(name);
  return 0;
}

static void replay(const struct table *table, int64_t nameLength, FILE *calls,
                   FILE *results) {
  char name[256];
  if (nameLength >= (int64_t)sizeof(name) ||
      fread(name, 1, (size_t)nameLength, calls) != (size_t)nameLength)
    fail("name");
  name[nameLength] = 0;
  int64_t rows = readNumber(calls), items = readNumber(calls);
  int64_t scratchBytes = readNumber(calls), count = readNumber(calls);
  uint8_t *arguments[mostArguments];
  int64_t sizes[mostArguments];
  if (count > mostArguments)
    fail("too many arguments");
  for (int64_t i = 0; i < count; ++i) {
    sizes[i] = readNumber(calls);
    arguments[i] = allocate(sizes[i]);
    if (fread(arguments[i], 1, (size_t)sizes[i], calls) != (size_t)sizes[i])
      fail("argument");
  }
  uint8_t *scratch = allocate(scratchBytes);
  kernel function = find(table, name);
  /* In two shares, as two threads would. */
  function(arguments, rows, 0, items / 2, scratch);
  function(arguments, rows, items / 2, items, scratch);
  for (int64_t i = 0; i < count; ++i) {
    if (fwrite(arguments[i], 1, (size_t)sizes[i], results) != (size_t)sizes[i])
      fail("cannot write results");
    free(arguments[i]);
  }
  free(scratch);
}

int main(int argc, char **argv) {
  if (argc != 4)
    fail("usage: replay CODE.so CALLS RESULTS");
  void *code = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!code)
    fail(dlerror());
  const struct table *table = dlsym(code, "lowbit_kernels");
  if (!table || table->abi != 1)
    fail("no table");
  FILE *calls = fopen(argv[2], "rb"), *results = fopen(argv[3], "wb");
  if (!calls || !results)
    fail("cannot open files");
  int64_t nameLength;
  while (fread(&nameLength, 8, 1, calls) == 1)
    replay(table, nameLength, calls, results);
  return fclose(results) == 0 ? 0 : 1;
}
