//===- CheckOps.cpp - The check dialect and its runner ----------*- C++ -*-===//

#include "Evaluator.h"
#include "lowbit/Reference/Check.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/Support/Format.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace lowbit;
using namespace lowbit::reference;

#include "lowbit/Reference/CheckDialect.cpp.inc"
#define GET_OP_CLASSES
#include "lowbit/Reference/CheckOps.cpp.inc"

void check::CheckDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "lowbit/Reference/CheckOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

static LogicalResult verifyShapes(Operation *op, Value value,
                                  ElementsAttr expected) {
  auto type = llvm::cast<RankedTensorType>(value.getType());
  auto wanted = expected.getShapedType();
  if (failed(verifyCompatibleShape(type.getShape(), wanted.getShape())) ||
      !wanted.getElementType().isIntOrFloat())
    return op->emitOpError() << "compares a " << type << " with a " << wanted;
  return success();
}

LogicalResult check::ExpectEqOp::verify() {
  // expect_eq_c1
  return verifyShapes(*this, getValue(), getExpected());
}

LogicalResult check::ExpectCloseOp::verify() {
  // expect_close_c2
  if (!(getTolerance().convertToDouble() >= 0))
    return emitOpError() << "requires a tolerance that is not negative, got "
                         << getTolerance().convertToDouble();
  // expect_close_c1
  return verifyShapes(*this, getValue(), getExpected());
}

//===----------------------------------------------------------------------===//
// Comparing
//===----------------------------------------------------------------------===//

/// Shape and values of what is compared; a stored weight is decoded to f32, a
/// computed one is what it is.
static HostTensor tensorOf(const Slot &slot) {
  if (const auto *tensor = std::get_if<HostTensor>(&slot))
    return *tensor;
  const Weight &weight = *std::get<WeightPtr>(slot);
  std::vector<int64_t> shape = {weight.rows, weight.columns};
  if (weight.isVector)
    shape = {weight.columns};
  if (!weight.computed.empty())
    return hostTensor(std::move(shape), weight.computed);
  std::vector<float> values;
  values.reserve(weight.rows * weight.columns);
  for (int64_t row = 0; row < weight.rows; ++row)
    for (int64_t column = 0; column < weight.columns; ++column)
      values.push_back(weight.strictValue(row, column));
  return hostTensor(std::move(shape), std::move(values));
}

/// Equal bits (also +0 and −0 differ), or both NaN.
static bool equal(double a, double b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0 ||
         (std::isnan(a) && std::isnan(b));
}

static std::vector<double> expectedValues(ElementsAttr expected) {
  std::vector<double> values;
  values.reserve(expected.getNumElements());
  if (auto floats = llvm::dyn_cast<DenseFPElementsAttr>(expected)) {
    for (llvm::APFloat value : floats.getValues<llvm::APFloat>()) {
      bool losesInfo;
      value.convert(llvm::APFloat::IEEEdouble(),
                    llvm::APFloat::rmNearestTiesToEven, &losesInfo);
      values.push_back(value.convertToDouble());
    }
  } else if (auto integers = llvm::dyn_cast<DenseIntElementsAttr>(expected)) {
    for (const llvm::APInt &value : integers.getValues<llvm::APInt>())
      values.push_back(static_cast<double>(value.getSExtValue()));
  }
  return values;
}

std::optional<std::string>
reference::compareWith(const Slot &value, ElementsAttr expected,
                       std::optional<double> tolerance, int64_t &compared) {
  HostTensor tensor = tensorOf(value);
  std::vector<double> wanted = expectedValues(expected);
  int64_t size = tensor.rows() * tensor.columns();
  if (size != static_cast<int64_t>(wanted.size()))
    return "has " + std::to_string(size) + " elements, expected " +
           std::to_string(wanted.size());
  compared += size;
  int64_t different = 0, first = 0;
  for (int64_t i = size - 1; i >= 0; --i) {
    bool good = tolerance ? std::fabs(tensor.at(i) - wanted[i]) <= *tolerance
                          : equal(tensor.at(i), wanted[i]);
    if (good)
      continue;
    ++different;
    first = i;
  }
  if (different == 0)
    return std::nullopt;
  std::string line;
  llvm::raw_string_ostream out(line);
  out << different << " of " << size << " elements differ, first ["
      << first / tensor.columns() << ", " << first % tensor.columns()
      << "]: is "
      << llvm::format("%.9g (%a)", tensor.at(first), tensor.at(first))
      << ", expected "
      << llvm::format("%.9g (%a)", wanted[first], wanted[first]);
  if (tolerance)
    out << " within " << llvm::format("%g", *tolerance);
  return line;
}

//===----------------------------------------------------------------------===//
// The runner
//===----------------------------------------------------------------------===//

/// Runs one function and prints what is wrong; whether nothing is.
static bool runFunction(Interpreter &interpreter, func::FuncOp function,
                        CheckReport &report, llvm::raw_ostream &out) {
  interpreter.clearCache();
  Result<std::vector<HostTensor>> result = interpreter.call(function, {});
  std::vector<std::string> failures = interpreter.takeFailures();
  int64_t compared = interpreter.takeCompared();
  report.compared += compared;
  for (const std::string &failure : failures)
    out << failure << "\n";
  if (!result) {
    out << "@" << function.getSymName() << ": " << result.error().message
        << "\n";
    return false;
  }
  if (compared == 0)
    out << "@" << function.getSymName() << ": compares nothing\n";
  return compared != 0 && failures.empty();
}

CheckReport lowbit::runChecks(ModuleOp module, ParameterBytes &bytes,
                              const InterpreterOptions &options,
                              llvm::raw_ostream &out) {
  CheckReport report;
  Interpreter interpreter(module, bytes, options);
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function.getSymName().starts_with("test_") ||
        function.getNumArguments() != 0)
      continue;
    ++report.functions;
    if (!runFunction(interpreter, function, report, out))
      ++report.failed;
  }
  return report;
}
