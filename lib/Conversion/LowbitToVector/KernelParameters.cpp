//===- KernelParameters.cpp - Reading lowbit.kernel's dictionary *- C++ -*-===//

#include "KernelParameters.h"
#include "mlir/IR/Diagnostics.h"
#include <cmath>

using namespace lowbit;
using namespace mlir;

void KernelParameters::report(llvm::StringRef name, const llvm::Twine &what) {
  kernel.emitError() << "parameter '" << name << "' of kernel '"
                     << kernel.getSymName() << "' of family '"
                     << kernel.getFamily() << "': " << what;
  reported = true;
}

Attribute KernelParameters::find(llvm::StringRef name) {
  Attribute attribute = kernel.getParameters().get(name);
  if (!attribute)
    report(name, "is missing");
  return attribute;
}

int64_t KernelParameters::integer(llvm::StringRef name, int64_t minimum,
                                  int64_t maximum) {
  Attribute attribute = find(name);
  if (!attribute)
    return minimum;
  auto number = dyn_cast<IntegerAttr>(attribute);
  if (!number || number.getValue().getSignificantBits() > 64) {
    report(name, "expected an integer");
    return minimum;
  }
  int64_t value = number.getValue().getSExtValue();
  if (value >= minimum && value <= maximum)
    return value;
  report(name, "is " + llvm::Twine(value) + ", expected " +
                   llvm::Twine(minimum) + " to " + llvm::Twine(maximum));
  return minimum;
}

float KernelParameters::real(llvm::StringRef name) {
  Attribute attribute = find(name);
  if (!attribute)
    return 0;
  auto number = dyn_cast<FloatAttr>(attribute);
  if (!number || !number.getType().isF32() || !number.getValue().isFinite()) {
    report(name, "expected a finite f32");
    return 0;
  }
  return number.getValue().convertToFloat();
}

llvm::StringRef KernelParameters::string(llvm::StringRef name) {
  Attribute attribute = find(name);
  auto text = dyn_cast_or_null<StringAttr>(attribute);
  if (attribute && !text)
    report(name, "expected a string");
  return text ? text.getValue() : llvm::StringRef();
}

Type KernelParameters::type(llvm::StringRef name) {
  Attribute attribute = find(name);
  auto type = dyn_cast_or_null<TypeAttr>(attribute);
  if (attribute && !type)
    report(name, "expected a type");
  return type ? type.getValue() : Type();
}

bool KernelParameters::boolean(llvm::StringRef name) {
  Attribute attribute = find(name);
  auto value = dyn_cast_or_null<BoolAttr>(attribute);
  if (attribute && !value)
    report(name, "expected true or false");
  return value && value.getValue();
}

llvm::ArrayRef<float> KernelParameters::reals(llvm::StringRef name) {
  Attribute attribute = find(name);
  auto array = dyn_cast_or_null<DenseF32ArrayAttr>(attribute);
  if (attribute && !array)
    report(name, "expected an array<f32: …>");
  if (!array)
    return {};
  for (float value : array.asArrayRef())
    if (!std::isfinite(value))
      report(name, "expected finite numbers");
  return array.asArrayRef();
}

ArrayRef<Attribute> KernelParameters::list(StringRef name) {
  Attribute value = kernel.getParameters().get(name);
  if (!value)
    return {};
  if (auto array = dyn_cast<ArrayAttr>(value))
    return array.getValue();
  report(name, "is not a list");
  return {};
}

SmallVector<RankedTensorType> KernelParameters::matrixTypes(StringRef name) {
  SmallVector<RankedTensorType> types;
  for (Attribute attribute : list(name)) {
    auto typeAttr = dyn_cast<TypeAttr>(attribute);
    auto type = typeAttr ? dyn_cast<RankedTensorType>(typeAttr.getValue())
                         : RankedTensorType();
    if (!type || !type.hasStaticShape() || type.getRank() < 1 ||
        type.getRank() > 2 || !type.getElementType().isF32() ||
        type.getEncoding()) {
      report(name, "expected types of f32 vectors and matrices");
      return {};
    }
    types.push_back(type);
  }
  return types;
}

ColumnView KernelParameters::view(llvm::StringRef name, int64_t columns) {
  std::string offset = (name + "_offset").str();
  std::string stride = (name + "_stride").str();
  ColumnView result{integer(offset), integer(stride, 1)};
  if (!reported && result.offset > result.stride - columns)
    report(offset, llvm::Twine(columns) + " columns from " +
                       llvm::Twine(result.offset) + " do not fit in a row of " +
                       llvm::Twine(result.stride));
  return result;
}
