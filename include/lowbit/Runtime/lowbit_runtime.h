/*===- lowbit_runtime.h - Running compiled models from C
--------------------===*\
 *
 * The whole runtime behind opaque handles: what lowbit-run and the Python
 * package are made of. The library has no LLVM, throws nothing and keeps no
 * global state.
 *
 *   lowbit_model *model;
 *   lowbit_error *error = lowbit_model_open("m.lowbit", NULL, &model);
 *   if (error) {
 *     fprintf(stderr, "%s\n", lowbit_error_message(error));
 *     exit(lowbit_error_code(error));
 *   }
 *
 * Rules. Functions that can fail return an error, NULL for success; on failure
 * outputs are left alone. The caller frees errors (lowbit_error_free) and
 * memory that it was given (lowbit_free). Structs of options start with `size`,
 * sizeof of the struct the caller was compiled with; shorter ones mean defaults
 * for the rest, and NULL means all defaults. A model may be used by any number
 * of threads; calls on one context wait for each other. A model may be closed
 * while contexts of it are alive; a context must not be freed while another
 * thread is in a call on it. Strings are UTF-8. Error codes are the exit codes
 * of Spec.md, section 7.
 *
\*===----------------------------------------------------------------------===*/
#ifndef LOWBIT_RUNTIME_LOWBIT_RUNTIME_H
#define LOWBIT_RUNTIME_LOWBIT_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lowbit_error lowbit_error;
typedef struct lowbit_model lowbit_model;
typedef struct lowbit_context lowbit_context;
typedef struct lowbit_tokenizer lowbit_tokenizer;

/** Version of the library, `0.1.0`. Never freed. */
const char *lowbit_version(void);

/** Exit code of an error, and its one line; the line lives as long as it. */
int32_t lowbit_error_code(const lowbit_error *error);
const char *lowbit_error_message(const lowbit_error *error);
void lowbit_error_free(lowbit_error *error);

/** Frees memory that a function below handed out. NULL is fine. */
void lowbit_free(void *memory);

/*===- Machine
 * --------------------------------------------------------------===*/

/** Name of kernel variant `index` (`portable`, `avx2`, `avx512`), or NULL
 *  beyond the last. Never freed. */
const char *lowbit_variant_name(uint32_t index);
/** CPU features that variant `index` needs and this machine lacks, separated by
 *  spaces; empty where it can run. To be freed. NULL beyond the last. */
char *lowbit_variant_missing(uint32_t index);
/** One line for each device that can run a model: its name for
 *  `lowbit_model_options`, a tab, what it is, or why there is none. To be
 *  freed; NULL where there is no memory. */
char *lowbit_list_devices(void);

/*===- Artifacts
 * ------------------------------------------------------------===*/

/** What is in an artifact, as JSON: file, root digest, sections, manifest.
 * Reads nothing but headers, checks digests of everything that is no weight,
 * and neither maps nor executes code. To be freed. */
lowbit_error *lowbit_inspect(const char *path, char **json);

/** Checks every digest of an artifact, on `threads` threads (0: all CPUs). */
lowbit_error *lowbit_verify(const char *path, int32_t threads);

/*===- Models
 * ---------------------------------------------------------------===*/

typedef enum {
  LOWBIT_WEIGHTS_AUTOMATIC = 0,
  LOWBIT_WEIGHTS_COPY = 1,
  LOWBIT_WEIGHTS_MAP = 2
} lowbit_weights;

typedef struct {
  size_t size;
  /** A lowbit_weights. */
  int32_t weights;
  /** Not 0: run its code without a trust record. */
  int32_t trust;
  /** Index of the largest kernel variant to use; −1 (default): what the CPU
   * has. */
  int32_t variant;
  /** Threads that copy weights; 0: all CPUs. */
  int32_t threads;
  /** What runs the plan: `cpu` (NULL is the same), or `emulated`: the GPU's
   * plan, its threads made to run on the CPU. `cuda:N` is refused so far: code
   * 8 where there is no such GPU, else 4. */
  const char *device;
  /** With `emulated`: 0: threads in order, else the seed of random schedules.
   */
  uint64_t schedule;
} lowbit_model_options;

/** Sets all defaults and `size`. */
void lowbit_model_options_init(lowbit_model_options *options);

lowbit_error *lowbit_model_open(const char *path,
                                const lowbit_model_options *options,
                                lowbit_model **model);
void lowbit_model_close(lowbit_model *model);

typedef struct {
  size_t size;
  int64_t vocabulary;
  /** Positions of a sequence: the least of what model and plan have. */
  int64_t context;
  /** Largest batch, rows with logits, sequences. */
  int64_t rows;
  int64_t logits;
  int64_t sequences;
  /** −1 where the model has none. */
  int32_t bos;
  /** Number of end-of-text tokens. */
  int32_t eos_count;
  /** Index of the kernel variant in use. */
  int32_t variant;
  /** Not 0: weights are mapped, not copied. */
  int32_t mapped;
  int64_t file_bytes;
  int64_t weight_bytes;
  /** Original unique parameters. */
  int64_t parameters;
  double linear_bits;
  double model_bits;
} lowbit_model_facts;

/** `facts->size` must be set. */
void lowbit_model_get_facts(const lowbit_model *model,
                            lowbit_model_facts *facts);
/** End-of-text token `index`, or −1. */
int32_t lowbit_model_eos(const lowbit_model *model, int32_t index);

/** Rows, columns and stored bytes of a parameter, named as in the manifest
 *  (fused linears are one parameter). */
lowbit_error *lowbit_parameter_shape(const lowbit_model *model,
                                     const char *name, int64_t *rows,
                                     int64_t *columns, int64_t *bytes);

/** Replaces the stored bytes of a parameter, named as in the manifest, by bytes
 *  of the same format and layout (lowbit_quantize and lowbit_pack make them) in
 *  this process's copy of the weights. Size and values are checked (codes 2 and
 *  3). No context of the model may be in a call meanwhile. Weights must be
 *  copied (code 4). */
lowbit_error *lowbit_model_replace_parameter(lowbit_model *model,
                                             const char *name,
                                             const uint8_t *bytes, size_t size);

/** Ids of a text. With `add_special` the template of the tokenizer is applied
 *  (usually: BOS in front); with `parse_special` the text of a special token
 *  becomes its id. To be freed. Every code 3 is about the text. */
lowbit_error *lowbit_tokenize(const lowbit_model *model, const char *text,
                              size_t bytes, int32_t add_special,
                              int32_t parse_special, int32_t **ids,
                              size_t *count);
/** Text of ids. To be freed; `bytes` may be NULL. */
lowbit_error *lowbit_detokenize(const lowbit_model *model, const int32_t *ids,
                                size_t count, int32_t skip_special, char **text,
                                size_t *bytes);

/*===- Tokenizer alone
 * ------------------------------------------------------===*/

/** Reads the tokenizer of an artifact, not its code or weights: needs no
 *  trust. */
lowbit_error *lowbit_tokenizer_open(const char *path,
                                    lowbit_tokenizer **tokenizer);
void lowbit_tokenizer_close(lowbit_tokenizer *tokenizer);
/** As lowbit_tokenize. */
lowbit_error *lowbit_tokenizer_encode(const lowbit_tokenizer *tokenizer,
                                      const char *text, size_t bytes,
                                      int32_t add_special,
                                      int32_t parse_special, int32_t **ids,
                                      size_t *count);

/*===- Contexts
 * -------------------------------------------------------------===*/

typedef struct {
  size_t size;
  /** 0: one for each CPU. Results do not depend on it. */
  int32_t threads;
  /** Sequences at once. */
  int32_t sequences;
  /** Positions of a sequence; 0: as many as there are. */
  int64_t context;
  /** Bit width of nested models; −1: the largest. */
  int32_t width;
} lowbit_context_options;

void lowbit_context_options_init(lowbit_context_options *options);

lowbit_error *lowbit_context_create(const lowbit_model *model,
                                    const lowbit_context_options *options,
                                    lowbit_context **context);
void lowbit_context_free(lowbit_context *context);

/** Threads in use, and positions of a sequence. */
int32_t lowbit_context_threads(const lowbit_context *context);
int64_t lowbit_context_positions(const lowbit_context *context);

lowbit_error *lowbit_sequence_create(lowbit_context *context,
                                     int32_t *sequence);
lowbit_error *lowbit_sequence_free(lowbit_context *context, int32_t sequence);
lowbit_error *lowbit_sequence_length(lowbit_context *context, int32_t sequence,
                                     int64_t *length);
/** Forgets the positions from `length` on. */
lowbit_error *lowbit_sequence_truncate(lowbit_context *context,
                                       int32_t sequence, int64_t length);

/** A row of a batch: token `id` at `position` of `sequence`. */
typedef struct {
  int32_t sequence;
  int32_t position;
  int32_t id;
} lowbit_row;

/** Runs a batch. Rows of one sequence stand at consecutive positions; the first
 *  may be at most at its length, and a smaller one replaces what was there.
 *  `logits` gets [selected][vocabulary] f32, valid until the next call. */
lowbit_error *lowbit_step(lowbit_context *context, const lowbit_row *rows,
                          size_t row_count, const int32_t *selected,
                          size_t selected_count, const float **logits);

/** Runs the linear of one parameter alone, as the model runs it: quantizes rows
 *  x [rows][columns] with the artifact's own kernel and multiplies by the
 *  weight, giving y [rows][outputs]. The linear's bias is added, a residual
 *  that the model adds is not. Columns and outputs must be those of the
 *  parameter. A row that is not finite gives NaN. */
lowbit_error *lowbit_run_linear(lowbit_context *context, const char *parameter,
                                const float *x, int64_t rows, int64_t columns,
                                float *y, int64_t outputs);

typedef struct {
  size_t size;
  /** 0: greedy. See lowbit_sampler_check for the ranges. */
  double temperature;
  int64_t top_k;
  double top_p;
  double min_p;
} lowbit_sampler_options;

void lowbit_sampler_options_init(lowbit_sampler_options *options);
/** Whether all options are in their ranges. */
lowbit_error *lowbit_sampler_check(const lowbit_sampler_options *options);

/** Draws a token from a row of logits; the random number is a function of seed,
 *  request and position alone. */
lowbit_error *lowbit_sample(const float *logits, int64_t vocabulary,
                            const lowbit_sampler_options *options,
                            uint64_t seed, uint64_t request, uint64_t position,
                            int32_t *id);

typedef enum {
  LOWBIT_STOP_END = 0,
  LOWBIT_STOP_MAX_TOKENS = 1,
  LOWBIT_STOP_LENGTH = 2,
  LOWBIT_STOP_CANCELLED = 3
} lowbit_stop;

/** Name of a lowbit_stop. Never freed. */
const char *lowbit_stop_name(int32_t stop);

typedef struct {
  size_t size;
  lowbit_sampler_options sampler;
  /** −1: until text or context end. */
  int64_t max_tokens;
  uint64_t seed;
  uint64_t request;
  /** Not 0: go on after an end-of-text token. */
  int32_t ignore_end;
} lowbit_generate_options;

void lowbit_generate_options_init(lowbit_generate_options *options);

typedef struct {
  size_t size;
  /** A lowbit_stop. */
  int32_t stop;
  int64_t prompt_tokens;
  int64_t tokens;
  double prompt_seconds;
  double token_seconds;
} lowbit_generate_result;

/** Gets each token with the text that it completes (whole characters; may be
 *  empty). The last call has id −1 and what was held back. 0 stops. */
typedef int32_t (*lowbit_token_callback)(void *user, int32_t id,
                                         const char *text, size_t bytes);

/** Appends the prompt to a sequence and makes text after it. `result->size`
 *  must be set. The callback must not call into the same context. */
lowbit_error *lowbit_generate(lowbit_context *context, int32_t sequence,
                              const int32_t *ids, size_t count,
                              const lowbit_generate_options *options,
                              lowbit_token_callback callback, void *user,
                              lowbit_generate_result *result);

typedef enum {
  LOWBIT_PROTOCOL_EVERY_TOKEN = 0,
  LOWBIT_PROTOCOL_LLAMA_CPP = 1
} lowbit_protocol;

typedef struct {
  size_t size;
  /** Tokens of a window, BOS included. */
  int64_t window;
  /** A lowbit_protocol. */
  int32_t protocol;
  /** At most so many windows; 0: all. */
  int64_t windows;
} lowbit_perplexity_options;

void lowbit_perplexity_options_init(lowbit_perplexity_options *options);

/** A mean and its standard error. */
typedef struct {
  double mean;
  double error;
} lowbit_estimate;

typedef struct {
  int64_t windows;
  int64_t scored;
  lowbit_estimate nats;
  lowbit_estimate perplexity;
} lowbit_perplexity_result;

typedef struct {
  lowbit_perplexity_result other;
  lowbit_perplexity_result mine;
  /** KL(other ‖ mine) in nats per token. */
  lowbit_estimate divergence;
  /** Nats of mine less nats of other, paired. */
  lowbit_estimate difference;
  lowbit_estimate same_top;
} lowbit_comparison_result;

/** Called after each window. */
typedef void (*lowbit_progress)(void *user, int64_t done, int64_t all);

/** Scores the ids of a text (without BOS; it is added). Code 3: the text is too
 *  short to score a token. */
lowbit_error *lowbit_perplexity(lowbit_context *context, const int32_t *ids,
                                size_t count,
                                const lowbit_perplexity_options *options,
                                lowbit_progress progress, void *user,
                                lowbit_perplexity_result *result);
/** Scores them with two models of the same vocabulary. */
lowbit_error *lowbit_compare(lowbit_context *mine, lowbit_context *other,
                             const int32_t *ids, size_t count,
                             const lowbit_perplexity_options *options,
                             lowbit_progress progress, void *user,
                             lowbit_comparison_result *result);

/*===- Quantizing
 * -----------------------------------------------------------===*/

typedef enum { LOWBIT_SCALE_F16 = 0, LOWBIT_SCALE_E4M3 = 1 } lowbit_scale;
typedef enum {
  LOWBIT_OFFSET_INTEGER = 0,
  LOWBIT_OFFSET_HALF = 1,
  LOWBIT_OFFSET_STORED = 2
} lowbit_offset;
typedef enum {
  LOWBIT_SOLVER_NEAREST = 0,
  LOWBIT_SOLVER_SEARCH = 1
} lowbit_solver;

/** `#lowbit.int<bits, group, scale, offset>`; group 0 is a whole row. */
typedef struct {
  int32_t bits;
  int32_t group;
  /** A lowbit_scale and a lowbit_offset. */
  int32_t scale;
  int32_t offset;
} lowbit_integer_format;

/** Bytes of a rows × columns matrix in the tiled layout of Spec.md, section 2.
 */
lowbit_error *lowbit_stored_bytes(const lowbit_integer_format *format,
                                  int64_t rows, int64_t columns,
                                  int64_t *bytes);

/** Quantizes and packs weights, f32 [rows][columns], to exactly the bytes that
 *  the compiler would write. `importance`, one value ≥ 0 for each column, may
 *  be NULL. `packed` has room for lowbit_stored_bytes. */
lowbit_error *lowbit_quantize(const lowbit_integer_format *format,
                              int32_t solver, const float *weights,
                              int64_t rows, int64_t columns,
                              const float *importance, uint8_t *packed);

/** Packs given codes u8 [rows][columns], scales [rows][groups] (f16 bits, or
 *  E4M3 in the low byte), zero points u8 [rows][groups] (offset stored, else
 *  NULL) and the factor (1 without E4M3), to the bit. */
lowbit_error *lowbit_pack(const lowbit_integer_format *format,
                          const uint8_t *codes, const uint16_t *scales,
                          const uint8_t *zeros, float factor, int64_t rows,
                          int64_t columns, uint8_t *packed);

/** Decodes packed bytes to f32 [rows][columns]. */
lowbit_error *lowbit_unpack(const lowbit_integer_format *format,
                            const uint8_t *packed, int64_t rows,
                            int64_t columns, float *weights);

#ifdef __cplusplus
}
#endif

#endif /* LOWBIT_RUNTIME_LOWBIT_RUNTIME_H */
