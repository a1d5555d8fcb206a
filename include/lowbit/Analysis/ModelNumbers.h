//===- ModelNumbers.h - Numbers that passes may look at ---------*- C++ -*-===//
//
// Passes decide on the IR and open no file. Those that must see numbers ask
// here: for weights (chains are computed in f64, as they will be stored), for
// the profile, and for files of learned matrices. The tool says where the
// numbers are before the first pass runs:
//
//   auto numbers = NumbersSource::open({"models/books-7m"}, "books.profile");
//   provideNumbers(registry, *numbers);
//   … in a pass: const ModelNumbers *numbers = ModelNumbers::get(context);
//
// Nothing here changes what it is asked for, and answers depend on the bytes
// alone; `remember` keeps answers by a key that describes the question.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_ANALYSIS_MODELNUMBERS_H
#define LOWBIT_ANALYSIS_MODELNUMBERS_H

#include "lowbit/Analysis/Profile.h"
#include "lowbit/Analysis/WeightInput.h"
#include "lowbit/IR/Transform.h"
#include "lowbit/Reference/ParameterBytes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectInterface.h"
#include "mlir/IR/DialectRegistry.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace lowbit {

/// Opened files, shared by the contexts of one tool.
class NumbersSource {
public:
  /// `folders` hold the files that parameters name; `profile` may be empty. The
  /// errors of Profile::open.
  static Result<NumbersSource> open(std::vector<std::string> folders,
                                    const std::string &profile);

  /// Bytes of parameters. Not for two threads at once.
  ParameterBytes &bytes() const { return *contents->bytes; }
  /// Null without a profile.
  const Profile *profile() const {
    return contents->profile ? &*contents->profile : nullptr;
  }

private:
  friend class ModelNumbers;
  struct Contents {
    std::unique_ptr<FolderBytes> bytes;
    std::optional<Profile> profile;
    std::map<std::string, std::unique_ptr<Safetensors>> files;
    std::map<std::string, std::vector<double>> answers;
    std::mutex mutex;
  };
  std::shared_ptr<Contents> contents;
};

/// What passes see; null where the tool provides nothing.
class ModelNumbers : public mlir::DialectInterface::Base<ModelNumbers> {
public:
  ModelNumbers(mlir::Dialect *dialect, NumbersSource source)
      : Base(dialect), source(std::move(source)) {}

  static const ModelNumbers *get(mlir::MLIRContext *context);
  /// The same for a pass that needs a profile; an error at `module` and null
  /// where there is none.
  static const ModelNumbers *getWithProfile(mlir::ModuleOp module,
                                            llvm::StringRef pass);

  ParameterBytes &bytes() const { return source.bytes(); }
  const Profile *profile() const { return source.profile(); }

  /// What the profile, which must be there, says of the rows that `weight`
  /// reads; nothing where it does not know its tensors.
  Result<std::optional<InputNumbers>> input(mlir::Value weight) const;

  /// All numbers of a weight that a chain of operations makes, row-major.
  Result<std::vector<double>> weight(mlir::Value value) const;

  /// A tensor of the safetensors file at `path` as a source for a parameter and
  /// its type; nothing where the file has none of that name. Exit 3 for files
  /// that cannot be read and tensors that are no floats of one or two
  /// dimensions.
  struct FileTensor {
    SourceAttr source;
    mlir::RankedTensorType type;
  };
  Result<std::optional<FileTensor>> tensor(const std::string &path,
                                           const std::string &name) const;

  /// The numbers that `compute` gives for `key`, computed once.
  Result<std::vector<double>>
  remember(const std::string &key,
           const std::function<Result<std::vector<double>>()> &compute) const;

private:
  NumbersSource source;
};

/// Makes the numbers known to every context of the registry.
void provideNumbers(mlir::DialectRegistry &registry,
                    const NumbersSource &source);
/// The same for a context that has the dialect already.
void provideNumbers(mlir::MLIRContext &context, const NumbersSource &source);

/// A text that is equal for chains that compute the same from the same bytes.
std::string describeWeight(mlir::Value value);

} // namespace lowbit

#endif // LOWBIT_ANALYSIS_MODELNUMBERS_H
