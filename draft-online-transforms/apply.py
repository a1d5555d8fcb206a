import shutil,os
def sub(p,*pairs):
    p='/work/main/'+p
    s=open(p).read()
    for a,b in pairs:
        assert s.count(a)>=1,(p,a)
        s=s.replace(a,b)
    open(p,'w').write(s)
V='lib/Conversion/LowbitToVector/'
for f in os.listdir('/work/wt/f/new'):
    shutil.copy('/work/wt/f/new/'+f,'/work/main/'+V+f)
sub(V+'RowTransforms.h',('''  /// f32 elements of each of the two places that `apply` works in: whole
  /// vectors of the widest row.
  int64_t rowElements() const { return roundUp(widest, vectorLanes); }''','''  /// f32 elements of each of the two places that `apply` works in: whole
  /// vectors of the widest row, and one more.
  int64_t rowElements() const {
    return roundUp(widest, vectorLanes) + vectorLanes;
  }'''),('''  /// Reads the parameters; no `transforms` is an empty chain. `columns` are
  /// those of the row that comes in.
  RowTransforms(KernelParameters &parameters, int64_t columns);''','''  /// Reads the parameters, named `prefix` + `transforms` and `transform_types`;
  /// where they are absent the chain is empty. `columns` are those of the row
  /// that comes in.
  RowTransforms(KernelParameters &parameters, int64_t columns,
                llvm::StringRef prefix = "");'''))
sub(V+'RowTransforms.cpp',('''RowTransforms::RowTransforms(KernelParameters &parameters, int64_t columns)
    : columns(columns), widest(columns) {
  SmallVector<RankedTensorType> types =
      parameters.matrixTypes("transform_types");
  for (Attribute attribute : parameters.list("transforms")) {''','''RowTransforms::RowTransforms(KernelParameters &parameters, int64_t columns,
                             llvm::StringRef prefix)
    : columns(columns), widest(columns) {
  std::string list = (prefix + "transforms").str();
  std::string typeList = (prefix + "transform_types").str();
  SmallVector<RankedTensorType> types = parameters.matrixTypes(typeList);
  for (Attribute attribute : parameters.list(list)) {'''),('parameters.report("transforms", ','parameters.report(list, '),('parameters.report("transform_types", ','parameters.report(typeList, '))
sub(V+'KernelParameters.h',('''  /// `NAME_offset` and''','''  /// An array; empty where it is absent.
  llvm::ArrayRef<mlir::Attribute> list(llvm::StringRef name);
  /// Types of f32 vectors and matrices; none where it is absent.
  llvm::SmallVector<mlir::RankedTensorType> matrixTypes(llvm::StringRef name);
  /// `NAME_offset` and'''))
s=open('/work/main/'+V+'KernelParameters.cpp').read()
i=s.index("ColumnView KernelParameters::view(")
s=s[:i]+'''ArrayRef<Attribute> KernelParameters::list(StringRef name) {
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

'''+s[i:]
open('/work/main/'+V+'KernelParameters.cpp','w').write(s)
sub(V+'KernelFamilies.cpp',('&selectRowsFamily}','&selectRowsFamily, &transformRowsFamily}'))
sub('include/lowbit/Conversion/KernelFamilies.h',('secondMomentsFamily, selectRowsFamily;','secondMomentsFamily, selectRowsFamily, transformRowsFamily;'))
# rotary_cache: transforms of heads
sub(V+'RotaryCache.cpp',('''        vView(parameters.view("v", shape.kvHeads * shape.headDim)) {}
''','''        vView(parameters.view("v", shape.kvHeads * shape.headDim)),
        qTransforms(parameters, shape.headDim, "q_"),
        kTransforms(parameters, shape.headDim, "k_") {
    if (!parameters.failed() &&
        (qTransforms.resultColumns() != shape.headDim ||
         kTransforms.resultColumns() != shape.headDim))
      parameters.report("q_transforms", "and k_transforms must keep head_dim");
  }
'''),('''  /// One key head.
  int64_t scratchBytes() const {
    return 4 * roundUp(shape.headDim, vectorLanes);
  }
''','''  /// A head, twice where it is transformed.
  int64_t scratchBytes() const {
    return 8 * std::max(qTransforms.rowElements(), kTransforms.rowElements());
  }
'''),('''  void turn(KernelBuilder &k, Value head, Value target);
''','''  void turn(KernelBuilder &k, Value head, Value target);
  void emitQuery(KernelBuilder &k, Value head);
'''),('''  ColumnView qView, kView, vView;
  Value scratch;
''','''  ColumnView qView, kView, vView;
  RowTransforms qTransforms, kTransforms;
  Value scratch;
  SmallVector<Value> qMatrices, kMatrices;
'''),('''//===----------------------------------------------------------------------===//
// Grids
''','''/// A query head, turned and transformed in place.
void RotaryCache::emitQuery(KernelBuilder &k, Value head) {
  if (qTransforms.empty())
    return turn(k, head, head);
  turn(k, head, scratch);
  Value spare = k.offset(scratch, qTransforms.rowElements() * 4);
  Value result = qTransforms.apply(k, scratch, spare, qMatrices);
  for (const Piece &piece : loadPieces(k, result, 0, shape.headDim))
    storeLanes(k, piece.vector, k.offset(head, 4 * piece.first), piece.lanes);
}

//===----------------------------------------------------------------------===//
// Grids
'''),('''  turn(k, key, scratch);
  storeHead(k, scratch, target(''','''  turn(k, key, scratch);
  Value spare = k.offset(scratch, kTransforms.rowElements() * 4);
  Value turned = kTransforms.apply(k, scratch, spare, kMatrices);
  storeHead(k, turned, target('''),('''  SmallVector<Value> pointers = loadArguments(k, arguments, 8);
  scratch = arguments.scratch;
''','''  int64_t qCount = qTransforms.argumentCount();
  int64_t kCount = kTransforms.argumentCount();
  SmallVector<Value> pointers =
      loadArguments(k, arguments, 8 + qCount + kCount);
  qMatrices.assign(pointers.begin() + 8, pointers.begin() + 8 + qCount);
  kMatrices.assign(pointers.begin() + 8 + qCount, pointers.end());
  scratch = arguments.scratch;
  qTransforms.prepare(k);
  kTransforms.prepare(k);
'''),('''      Value place = k.element(q, head, headBytes);
      turn(k, place, place);
''','''      emitQuery(k, k.element(q, head, headBytes));
'''),('#include "CachePages.h"\n','#include "CachePages.h"\n#include "RowTransforms.h"\n'))
# constants of kernels
sub('lib/Target/LowerKernel.cpp',('''    unit->module.getBody()->push_back(function->clone());
''','''    unit->module.getBody()->push_back(function->clone());
    // The constants that it reads come along.
    llvm::StringSet<> constants;
    function.walk([&](LLVM::AddressOfOp use) {
      auto constant =
          SymbolTable::lookupNearestSymbolFrom<LLVM::GlobalOp>(
              use, use.getGlobalNameAttr());
      if (constant && constants.insert(constant.getSymName()).second)
        unit->module.getBody()->push_back(constant->clone());
    });
'''))
# plan
sub('lib/Conversion/LowbitToPlan/LowbitToPlan.cpp',('''          .Case([&](RotaryOp op) { return emitRotary(op); })
''','''          .Case([&](RotaryOp op) { return emitRotary(op); })
          .Case([&](TransformOp op) { return emitTransform(op); })
'''),('''  FailureOr<RowView> emitRotary(RotaryOp op);
''','''  FailureOr<RowView> emitRotary(RotaryOp op);
  FailureOr<RowView> emitTransform(TransformOp op);
  FailureOr<Value> addTransforms(Value value, Value stop, StringRef prefix,
                                 AbstractStep &step);
'''),('''/// The input of an activation quantizer: a norm''','''/// Rows behind transforms, for whoever does not take them in.
FailureOr<RowView> GraphToPlan::emitTransform(TransformOp op) {
  AbstractStep step = makeStep("transform_rows", "", StepCount::Rows);
  StepCount count = StepCount::Rows;
  int64_t columns = 0;
  if (failed(addPrologue(op.getResult(), step, count, columns)))
    return failure();
  int64_t outputs = columnsOf(op.getResult());
  AbstractStep named =
      makeStep("transform_rows", "_" + Twine(columns) + "_" + Twine(outputs), count);
  named.parameters = step.parameters;
  named.args = step.args;
  set(named, "columns", columns);
  RowView y = plan.addRows("transformed", outputs, count);
  named.args.push_back({y.buffer, Access::Write});
  plan.addStep(std::move(named));
  return y;
}

/// Takes in the transforms that lead to `value`, back to rows that exist or to
/// `stop`: sets `prefix` + `transforms`, adds their matrices to the arguments
/// that the step takes last, and returns what the first of them reads.
FailureOr<Value> GraphToPlan::addTransforms(Value value, Value stop,
                                            StringRef prefix,
                                            AbstractStep &step) {
  SmallVector<TransformOp> chain;
  while (value != stop && !views.contains(value)) {
    auto transform = value.getDefiningOp<TransformOp>();
    if (!transform)
      break;
    chain.push_back(transform);
    value = transform.getInput();
  }
  SmallVector<Attribute> kinds, types;
  for (TransformOp transform : llvm::reverse(chain)) {
    kinds.push_back(transform.getTransform());
    for (Value matrix : transform.getMatrices()) {
      FailureOr<int64_t> buffer = getWeight(matrix);
      if (failed(buffer))
        return failure();
      types.push_back(TypeAttr::get(matrix.getType()));
      step.args.push_back({*buffer, Access::Read});
    }
  }
  if (kinds.empty())
    return value;
  step.parameters.set((prefix + "transforms").str(),
                      builder.getArrayAttr(kinds));
  step.parameters.set((prefix + "transform_types").str(),
                      builder.getArrayAttr(types));
  return value;
}

/// The input of an activation quantizer: a norm'''),('''/// materialized is taken in as the prologue, everything else is read.
LogicalResult GraphToPlan::addPrologue(Value value, AbstractStep &step,
                                       StepCount &count) {
''','''/// materialized is taken in as the prologue, everything else is read; then
/// transforms. `columns` are those of the prologue.
LogicalResult GraphToPlan::addPrologue(Value value, AbstractStep &step,
                                       StepCount &count, int64_t &columns) {
  AbstractStep matrices;
  FailureOr<Value> start = addTransforms(value, Value(), "", matrices);
  if (failed(start) || failed(addSource(*start, step, count)))
    return failure();
  for (NamedAttribute parameter : matrices.parameters)
    step.parameters.set(parameter.getName(), parameter.getValue());
  llvm::append_range(step.args, matrices.args);
  columns = columnsOf(*start);
  return success();
}

LogicalResult GraphToPlan::addSource(Value value, AbstractStep &step,
                                     StepCount &count) {
'''),('''  LogicalResult addPrologue(Value value, AbstractStep &step, StepCount &count);
''','''  LogicalResult addPrologue(Value value, AbstractStep &step, StepCount &count,
                            int64_t &columns);
  LogicalResult addSource(Value value, AbstractStep &step, StepCount &count);
'''),('''  if (failed(addPrologue(value, step, count)))
    return failure();
''','''  int64_t sourceColumns = 0;
  if (failed(addPrologue(value, step, count, sourceColumns)))
    return failure();
'''),('''  set(named, "columns", columns);
  set(named, "planes", planes);
''','''  set(named, "columns", sourceColumns);
  set(named, "planes", planes);
'''),('''    if (isa<RmsNormOp, GateOp, SliceOp, RotaryOp>(user))
''','''    if (isa<RmsNormOp, GateOp, SliceOp, RotaryOp, TransformOp>(user))
'''),('''      .Case<WeightOp, SliceOp, RmsNormOp, GateOp, RotaryOp>(
''','''      .Case<WeightOp, SliceOp, RmsNormOp, GateOp, RotaryOp, TransformOp>(
'''))
sub('lib/Conversion/LowbitToPlan/LowbitToPlan.cpp',('''bool GraphToPlan::isTurnedInPlace(RotaryOp op, AttentionOp reader) {
  auto isReadBefore = [&](Operation *user) {
    return user == reader ||
           (isa<ObserveOp>(user) && position[user] < position[reader]);
  };
  return op.getInput().hasOneUse() &&
         llvm::all_of(op.getResult().getUsers(), isReadBefore);
}
''','''bool GraphToPlan::isTurnedInPlace(RotaryOp op, AttentionOp reader) {
  return op.getInput().hasOneUse() && isReadBefore(op.getResult(), reader);
}

/// Whether `value`, and what transforms make of it, is used by `reader` and by
/// observations in front of it only.
bool GraphToPlan::isReadBefore(Value value, AttentionOp reader) {
  return llvm::all_of(value.getUsers(), [&](Operation *user) {
    if (isa<TransformOp>(user))
      return isReadBefore(user->getResult(0), reader);
    return user == reader ||
           (isa<ObserveOp>(user) && position[user] < position[reader]);
  });
}

/// The rotary embedding behind a query or key, and the transforms of its heads.
FailureOr<RotaryOp> GraphToPlan::takeHeads(AttentionOp op, Value value,
                                           StringRef prefix,
                                           AbstractStep &step) {
  FailureOr<Value> turned = addTransforms(value, prefix, step);
  if (failed(turned))
    return failure();
  int64_t headDim = op.getHeadDim();
  for (Value at = value; at != *turned;) {
    auto transform = at.getDefiningOp<TransformOp>();
    int64_t block = getBlock(getTransform(transform));
    if (block == 0 || headDim % block != 0)
      return transform.emitOpError()
             << "of a query or key requires blocks that divide head_dim "
             << headDim << ", got " << block;
    at = transform.getInput();
  }
  auto rotary = turned->getDefiningOp<RotaryOp>();
  if (!rotary || 2 * static_cast<int64_t>(rotary.getFrequencies().size()) !=
                     headDim)
    return op.emitOpError() << "requires query and key from rotary embeddings "
                               "over whole heads";
  return rotary;
}
'''),('''  auto rotaryQ = op.getQuery().getDefiningOp<RotaryOp>();
  auto rotaryK = op.getKey().getDefiningOp<RotaryOp>();
  if (!rotaryQ || !rotaryK ||
      rotaryQ.getFrequencies() != rotaryK.getFrequencies() ||
      !isTurnedInPlace(rotaryQ, op) ||
      2 * static_cast<int64_t>(rotaryQ.getFrequencies().size()) !=
          op.getHeadDim())
    return op.emitOpError()
           << "requires query and key from rotary embeddings of the same "
              "frequencies over whole heads, used nowhere else";
  FailureOr<RowView> q = getView(rotaryQ.getInput());
  FailureOr<RowView> k = getView(rotaryK.getInput());
''','''  AbstractStep heads;
  FailureOr<RotaryOp> rotaryQ = takeHeads(op, op.getQuery(), "q_", heads);
  FailureOr<RotaryOp> rotaryK = takeHeads(op, op.getKey(), "k_", heads);
  if (failed(rotaryQ) || failed(rotaryK))
    return failure();
  if (rotaryQ->getFrequencies() != rotaryK->getFrequencies() ||
      !isTurnedInPlace(*rotaryQ, op))
    return op.emitOpError()
           << "requires query and key from rotary embeddings of the same "
              "frequencies, used nowhere else";
  FailureOr<RowView> q = getView(rotaryQ->getInput());
  FailureOr<RowView> k = getView(rotaryK->getInput());
'''),('''getAngles(rotaryQ.getFrequencies());

  int64_t heads = op.getHeads(), kvHeads''','''getAngles(rotaryQ->getFrequencies());

  int64_t kvHeads'''),('''    set(step, "heads", heads);
''','''    set(step, "heads", op.getHeads());
'''),('''                {pageTable, Access::Read},
                layerCache};
  plan.addStep(std::move(write));
''','''                {pageTable, Access::Read},
                layerCache};
  for (NamedAttribute parameter : heads.parameters)
    write.parameters.set(parameter.getName(), parameter.getValue());
  llvm::append_range(write.args, heads.args);
  plan.addStep(std::move(write));
'''),('''  bool isTurnedInPlace(RotaryOp op, AttentionOp reader);
''','''  bool isTurnedInPlace(RotaryOp op, AttentionOp reader);
  bool isReadBefore(Value value, AttentionOp reader);
  FailureOr<RotaryOp> takeHeads(AttentionOp op, Value value, StringRef prefix,
                                AbstractStep &step);
'''),('''  FailureOr<Value> addTransforms(Value value, Value stop, StringRef prefix,
                                 AbstractStep &step);
''','''  FailureOr<Value> addTransforms(Value value, StringRef prefix,
                                 AbstractStep &step);
'''),('''/// Takes in the transforms that lead to `value`, back to rows that exist or to
/// `stop`: sets''','''/// Takes in the transforms that lead to `value`, back to rows that exist: sets'''),('''FailureOr<Value> GraphToPlan::addTransforms(Value value, Value stop,
                                            StringRef prefix,
                                            AbstractStep &step) {
  SmallVector<TransformOp> chain;
  while (value != stop && !views.contains(value)) {
''','''FailureOr<Value> GraphToPlan::addTransforms(Value value, StringRef prefix,
                                            AbstractStep &step) {
  SmallVector<TransformOp> chain;
  while (!views.contains(value)) {
'''),('addTransforms(value, Value(), "", matrices)','addTransforms(value, "", matrices)'),
('#include "lowbit/IR/CacheFormat.h"\n','#include "lowbit/IR/CacheFormat.h"\n#include "lowbit/IR/Transform.h"\n'),
('''  LayoutAttr layout =
      type.getRank() == 2 ? getDefaultLayout(type) : LayoutAttr();
''','''  // Matrices of transforms lie row by row.
  bool isMatrix = llvm::any_of(weight->getUsers(), [](Operation *user) {
    return isa<TransformOp>(user);
  });
  if (isMatrix && !type.getElementType().isF32())
    return weight.emitOpError()
           << "requires f32 numbers; run lowbit-assign-layouts first";
  LayoutAttr layout = type.getRank() == 2 && !isMatrix ? getDefaultLayout(type)
                                                       : LayoutAttr();
'''))
sub('lib/Transforms/AssignLayouts.cpp',('''  void runOnOperation() override {
''','''  void runOnOperation() override {
    // Matrices of transforms stay row by row, f32.
    getOperation().walk([&](TransformOp transform) {
      for (Value matrix : transform.getMatrices())
        if (auto weight = matrix.getDefiningOp<WeightOp>())
          matrices.insert(weight.getParameterAttr().getAttr());
    });
'''),('''      if (type.getRank() == 2)
        parameter''','''      bool isMatrix = matrices.contains(parameter.getSymNameAttr());
      if (type.getRank() == 2 && !isMatrix)
        parameter'''),('''  /// Makes a vector f32''','''  /// Makes a vector or a matrix of a transform f32'''),('''  llvm::DenseMap<StringAttr, RankedTensorType> widened;
''','''  llvm::DenseSet<StringAttr> matrices;
  llvm::DenseMap<StringAttr, RankedTensorType> widened;
'''))
