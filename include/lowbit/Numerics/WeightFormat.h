//===- WeightFormat.h - What every stored format offers ---------*- C++ -*-===//
//
// One interface for all formats, on plain arrays: how large a tensor is, how
// its rows become bytes, and what those bytes mean. The materializer and the IR
// attributes work through it, so that a new format is a class here (with its
// attribute, its decode in the reference and its kernels), and nothing else
// changes.
//
//   FormatPtr format = findFormat("int4-g64", why);
//   TilePlaces places = *format->places(rows, columns);
//   auto encoder = format->makeEncoder(columns, options);
//   if (format->needsScan())
//     for each tile: encoder->scan(input, scan);
//   TensorFacts facts = format->facts(scan);
//   for each tile t:
//     encoder->encode(input, facts, bytes + t * places.tileBytes, sums);
//   format->writeTrailer(facts, bytes + places.trailer());
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_WEIGHTFORMAT_H
#define LOWBIT_NUMERICS_WEIGHTFORMAT_H

#include "lowbit/Numerics/CodePath.h"
#include "lowbit/Numerics/Defect.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lowbit {

struct IntegerFormat;
struct TrellisFormat;

/// Size of a stored tensor. `bytes` = `payload` + `padding`.
struct StoredSize {
  /// Bytes of the buffer.
  int64_t bytes = 0;
  /// Codes, scales, zero points and factor of the rows and columns that exist,
  /// in bytes, rounded up to a whole byte once.
  int64_t payload = 0;
  /// The rest: rows to a tile, columns to a block, tiles to 64 bytes.
  int64_t padding = 0;
};

/// Complete bits per weight: 8 · bytes / (rows · columns) (Spec 1.2).
double completeBits(const StoredSize &size, int64_t rows, int64_t columns);

/// ceil(value / divisor), for value ≥ 0 and divisor ≥ 1; cannot overflow.
inline int64_t ceilDivide(int64_t value, int64_t divisor) {
  return value / divisor + (value % divisor != 0);
}

/// Where the tiles of a tensor lie: tile t at t · tileBytes, then the trailer.
struct TilePlaces {
  /// Rows of a tile; the last one may have fewer.
  int64_t tileRows = 0;
  int64_t tileBytes = 0;
  int64_t tiles = 0;
  /// Bytes after the last tile (a factor, a table); may be 0.
  int64_t trailerBytes = 0;

  int64_t trailer() const { return tiles * tileBytes; }
};

/// Rows of f32 weights that a solver reads: the rows of a tile.
struct TileInput {
  /// Weight (r, k) is weights[r · stride + k].
  const float *weights = nullptr;
  int64_t stride = 0;
  /// Rows that exist, 1 … rows of a tile.
  int64_t rows = 0;
  int64_t columns = 0;
  /// Row of the tensor that is row 0 here; only for reports.
  int64_t firstRow = 0;
};

/// The first weight that is not finite, by rows, and how many there are; no
/// value where all are finite.
std::optional<Defect> reportNonFinite(const TileInput &input);

/// Raises `largest` to the largest |w| of the tile; where a weight is not
/// finite, what reportNonFinite says of it.
std::optional<Defect> raiseToLargest(const TileInput &input, float &largest);

/// The first of `columns` importances that is negative or not finite.
/// `importance` may be null for all 1.
std::optional<Defect> reportBadImportance(const float *importance,
                                          int64_t columns);

/// Sums of the ledger, in f64 and in one fixed order for every CPU.
struct ErrorSums {
  /// Σ (w − ŵ)² and Σ w².
  double error = 0;
  double energy = 0;
  /// Σ h_k (w − ŵ)² and Σ h_k w²; equal to the above without importance.
  double weightedError = 0;
  double weightedEnergy = 0;

  /// Adds the sums of another tile; the caller adds tiles from the top down.
  void add(const ErrorSums &other);
  /// Adds a weight w of importance h that is decoded as ŵ.
  void addWeight(double w, double decoded, double h) {
    double e = w - decoded;
    error += e * e;
    energy += w * w;
    weightedError += h * (e * e);
    weightedEnergy += h * (w * w);
  }
};

/// What must be known of a whole tensor before a tile of it can be encoded.
/// Scans of tiles are merged in any order.
struct TensorScan {
  /// Largest unrounded scale; of elements that are no Integer the largest |w|.
  float largest = 0;

  void merge(const TensorScan &other);
};

/// The facts of a whole tensor that its tiles share.
struct TensorFacts {
  /// F of Spec 1.1; 1 where the format has none.
  float factor = 1.0f;
};

class FeedbackFactor;
struct FeedbackOrder;
struct MomentsView;

/// How a tensor is encoded.
struct EncoderOptions {
  /// One of the format's solvers.
  std::string solver = "nearest";
  /// Solvers with error feedback: the order of columns, `activation` (by
  /// descending diagonal of H) or `columns` (from left to right), for formats
  /// that leave it open; how scales are chosen, `search` or `nearest`; and λ as
  /// a share of the mean of the diagonal.
  std::string order = "activation";
  std::string scales = "search";
  double damp = 0.01;
  /// One h ≥ 0 for each column, or null for all 1. Must outlive the encoder.
  const float *importance = nullptr;
  /// For solvers with error feedback; must outlive the encoder.
  const FeedbackFactor *factor = nullptr;
  /// A path that this CPU has; no byte depends on it.
  CodePath path = fastestCodePath();
};

/// Makes the tiles of one tensor. Holds scratch memory: one for each thread.
class TileEncoder {
public:
  virtual ~TileEncoder();

  /// Looks at a tile before any is encoded (formats that need a scan only).
  virtual std::optional<Defect> scan(const TileInput &input, TensorScan &scan);
  /// Chooses codes, writes the tile's `tileBytes` bytes, padding included, and
  /// adds its errors to `sums`. Or reports what cannot be stored (then the
  /// bytes are unspecified).
  virtual std::optional<Defect> encode(const TileInput &input,
                                       const TensorFacts &facts, uint8_t *bytes,
                                       ErrorSums &sums) = 0;
};

/// The rows of a tile as numbers: w = F · s · (step · unit) (Spec 3, Linear),
/// or w = s · value where weights are multiplied as f32.
struct StepTile {
  /// [rows][columns]; |step| ≤ 512.
  std::vector<int16_t> steps;
  /// [rows][columns], instead of steps; formats whose sumColumns is 0.
  std::vector<float> values;
  /// [rows][groups].
  std::vector<float> scales;
  /// Columns of a full group; `isRow` where one scale is for the whole row.
  int64_t groupColumns = 0, groups = 0;
  bool isRow = false;
  /// A power of two.
  float unit = 1.0f;
  /// Further parts of the same weights, which are added.
  std::vector<StepTile> more;
};

/// Types of the tensors that the solver `given` reads.
enum class GivenType : uint8_t { U8, I8, F16, E4M3, F32 };

/// One of those tensors: `[rows, columns]`, or `[1]` where `columns` is 0.
struct GivenTensor {
  /// The name is that of the weight with this appended: ".codes".
  const char *suffix;
  GivenType type;
  int64_t columns;

  int64_t elementBytes() const {
    return type == GivenType::F32 ? 4 : type == GivenType::F16 ? 2 : 1;
  }
};

/// A format; immutable, shared by threads.
class WeightFormat {
public:
  virtual ~WeightFormat();

  /// Name in recipes, reports and kernel names: `int4-g64`.
  virtual std::string name() const = 0;
  /// The text of the IR attribute: `#lowbit.int<4, group = 64, …>`.
  virtual std::string attribute() const = 0;

  /// Sizes of an N × K tensor. No value where rows or columns are below 1 or a
  /// size exceeds int64_t.
  virtual std::optional<TilePlaces> places(int64_t rows,
                                           int64_t columns) const = 0;
  virtual std::optional<StoredSize> storedSize(int64_t rows,
                                               int64_t columns) const = 0;
  /// Rows of a tile, bytes of a row in a vector of the layout.
  virtual int64_t tileRows() const;
  int64_t laneBytes() const { return 4; }

  /// The format as grouped integers, where it is one (IntegerFormat.h); else
  /// null.
  virtual const IntegerFormat *integers() const { return nullptr; }
  /// The format as streams of a trellis code, where it is one
  /// (TrellisFormat.h); else null.
  virtual const TrellisFormat *trellis() const { return nullptr; }
  /// Columns that one exact integer sum covers at most: a group, or a slab of
  /// 512. 0 where activations are f32.
  virtual int64_t sumColumns() const = 0;
  /// Whether a tensor has facts of its own, so that rows of several given
  /// tensors cannot be one.
  virtual bool hasTensorFacts() const { return false; }

  /// Whether a row can be decoded alone, as a table of embeddings must.
  virtual bool hasSingleRows() const { return true; }
  /// Mean squared error, relative, that the format has on Gaussian weights,
  /// where it is made for weights that rotations have made so; else 0.
  virtual double gaussianError() const { return 0; }

  /// Solvers that choose this format's codes, the default first; `given` where
  /// the format can be given.
  virtual std::vector<std::string> solvers() const = 0;
  /// Why the format has not a solver that others have, as a clause for a
  /// person.
  std::string whyNoSolver() const;

  /// Whether a solver needs EncoderOptions::factor (ErrorFeedback.h).
  virtual bool usesFeedback(const std::string &solver) const { return false; }
  /// The order and blocks in which such a solver rounds columns.
  virtual FeedbackOrder feedbackOrder(const MomentsView &h,
                                      const EncoderOptions &options) const;

  /// Whether tiles must be scanned before they are encoded.
  virtual bool needsScan() const { return false; }
  /// The facts that follow from all scans.
  virtual TensorFacts facts(const TensorScan &scan) const;
  /// An encoder for rows of `columns` columns; the solver is one of `solvers`
  /// other than `given`.
  virtual std::unique_ptr<TileEncoder>
  makeEncoder(int64_t columns, const EncoderOptions &options) const = 0;
  /// Writes the trailer.
  virtual void writeTrailer(const TensorFacts &facts, uint8_t *bytes) const;
  /// Bytes that an encoder allocates at most for rows of `columns` columns,
  /// the rows themselves apart.
  virtual int64_t encoderBytes(int64_t columns) const = 0;

  /// The tensors that `given` reads for a weight of `columns` columns.
  virtual std::vector<GivenTensor> givenTensors(int64_t columns) const;
  /// Encodes given rows to the bit: `parts[i]` points at the rows of
  /// givenTensors()[i] (the whole tensor where its columns are 0). `input` is
  /// what they stand for. Refuses what the format cannot store.
  virtual std::optional<Defect>
  encodeGiven(const std::vector<const uint8_t *> &parts, const TileInput &input,
              const float *importance, uint8_t *bytes, ErrorSums &sums) const;
  /// The facts of given tensors; refused where they are not usable.
  virtual std::optional<Defect>
  givenFacts(const std::vector<const uint8_t *> &parts,
             TensorFacts &facts) const;

  /// Reads the trailer back; refuses facts that no encoder writes.
  virtual std::optional<Defect> readTrailer(const uint8_t *bytes,
                                            TensorFacts &facts) const;
  /// Unpacks `rows` rows of a tile. Refuses scales that no encoder writes;
  /// `firstRow` is for that report.
  virtual std::optional<Defect> unpack(const uint8_t *bytes, int64_t rows,
                                       int64_t columns, int64_t firstRow,
                                       StepTile &tile) const = 0;
  /// Decodes `rows` rows of a tile to values[r · columns + k]:
  /// ((step · unit) · s) · F, each product rounded to f32 (Spec 3, Embedding),
  /// added over the parts of the tile from the first on.
  virtual std::optional<Defect> decode(const uint8_t *bytes, int64_t rows,
                                       int64_t columns, int64_t firstRow,
                                       const TensorFacts &facts,
                                       float *values) const;
};

using FormatPtr = std::shared_ptr<const WeightFormat>;

/// The format with that name, or null; then `why` goes on after the name: "is
/// not known, must be …", "is not possible: bits must be …".
FormatPtr findFormat(const std::string &name, std::string &why);

/// The names that findFormat understands, for people.
std::string formatSyntax();

/// Whether some format has that solver.
bool isSolver(const std::string &name);

/// All solvers, for people: "nearest, search, …", the last behind
/// `conjunction` ("and", "or").
std::string solverSyntax(const char *conjunction);

} // namespace lowbit

#endif // LOWBIT_NUMERICS_WEIGHTFORMAT_H
