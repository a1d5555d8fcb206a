//===- SplitOutlierChannels.cpp - Copies of columns that round badly ------===//

#include "Decisions.h"
#include "FoldTransforms.h"
#include "RoundingOptions.h"
#include "TransformPass.h"
#include "WeightChains.h"
#include "lowbit/Analysis/ModelNumbers.h"
#include "lowbit/Analysis/WeightRoles.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Numerics/ChannelSplit.h"
#include "lowbit/Numerics/RowTransform.h"
#include "lowbit/Transforms/Passes.h"
#include "mlir/AsmParser/AsmParser.h"
#include "llvm/ADT/MapVector.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>

namespace lowbit {
#define GEN_PASS_DEF_LOWBITSPLITOUTLIERCHANNELS
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

constexpr llvm::StringLiteral passName = "lowbit-split-outlier-channels";
constexpr llvm::StringLiteral siteNames[] = {"input", "output", "gated"};
/// Columns that a kernel takes at a time, and those that an activation scale is
/// for at least: copies lie within one such block.
constexpr int64_t kernelColumns = 64, activationColumns = 32;

/// Rows whose columns are split, and the linears that read them.
struct Site {
  Value rows;
  llvm::StringRef kind;
  int64_t layer = -1;
  SmallVector<LinearOp> linears;

  int64_t columns() const {
    return cast<RankedTensorType>(rows.getType()).getDimSize(1);
  }
  std::string name() const {
    return "layer " + std::to_string(layer) + " " + kind.str();
  }
};

/// Original of each new column, −1 for one of zeros: all columns, those of
/// `isSplit` k times, side by side within blocks; a column whose copies do not
/// fit into the rest of a block waits for the next.
std::vector<int64_t> placeColumns(const std::vector<bool> &isSplit, int64_t k,
                                  int64_t block) {
  std::vector<int64_t> index;
  std::deque<int64_t> waiting;
  auto columns = static_cast<int64_t>(isSplit.size());
  int64_t next = 0;
  while (next < columns || !waiting.empty()) {
    int64_t room = block - static_cast<int64_t>(index.size()) % block;
    if (!waiting.empty() && (k <= room || next == columns)) {
      // None is left that would fit.
      if (k > room) {
        index.insert(index.end(), room, -1);
        continue;
      }
      index.insert(index.end(), k, waiting.front());
      waiting.pop_front();
    } else if (isSplit[next] && k > room) {
      waiting.push_back(next++);
    } else {
      index.insert(index.end(), isSplit[next] ? k : 1, next);
      ++next;
    }
  }
  return index;
}

/// The columns of `order`, most urgent first, that are split when at least
/// `wanted` shall be: as many as fit into the width to which they are padded.
std::vector<int64_t> chooseIndex(const std::vector<int64_t> &order,
                                 int64_t wanted, int64_t k, int64_t block,
                                 int64_t unit) {
  auto columns = static_cast<int64_t>(order.size());
  int64_t width = (columns + wanted * (k - 1) + unit - 1) / unit * unit;
  for (;; width += unit)
    for (int64_t count = std::min(columns, (width - columns) / (k - 1));
         count >= wanted; --count) {
      std::vector<bool> isSplit(columns);
      for (int64_t i = 0; i < count; ++i)
        isSplit[order[i]] = true;
      std::vector<int64_t> index = placeColumns(isSplit, k, block);
      if (static_cast<int64_t>(index.size()) > width)
        continue;
      index.resize(width, -1);
      return index;
    }
}

/// Runs of columns, as `#lowbit.gather` has them.
std::vector<int64_t> makeRuns(const std::vector<int64_t> &index) {
  std::vector<int64_t> runs;
  for (size_t i = 0; i < index.size();) {
    size_t end = i + 1;
    while (end < index.size() &&
           index[end] == (index[i] < 0 ? -1 : index[end - 1] + 1))
      ++end;
    runs.push_back(index[i]);
    runs.push_back(end - i);
    i = end;
  }
  return runs;
}

struct SplitOutlierChannels
    : lowbit::impl::LowbitSplitOutlierChannelsBase<SplitOutlierChannels> {
  using LowbitSplitOutlierChannelsBase::LowbitSplitOutlierChannelsBase;

  LogicalResult initialize(MLIRContext *context) override {
    auto refuse = [&](const Twine &what) {
      return emitError(UnknownLoc::get(context)) << passName << ": " << what;
    };
    if (copies < 2 || copies > ChannelSplit::maxCopies)
      return refuse("copies " + Twine(copies) + " must be from 2 to " +
                    Twine(ChannelSplit::maxCopies));
    for (auto [option, ratio] : {std::pair("first-ratio", double(firstRatio)),
                                 std::pair("last-ratio", double(lastRatio))})
      if (!(ratio >= 0 && ratio <= 1))
        return refuse(Twine(option) + " " + std::to_string(ratio) +
                      " must be from 0 to 1");
    if (failed(parseRounding(context, passName, {format, "nearest", 16, 0},
                             choice)))
      return failure();
    formatAttr =
        dyn_cast<IntAttr>(parseAttribute(choice.format->attribute(), context));
    if (!formatAttr || formatAttr.getBits() < 2 ||
        !formatAttr.getScale().isF16())
      return refuse("format " + format +
                    " must be of integers of at least 2 bits with scales in "
                    "f16");
    return parseWords(context, passName, "sites", sites, siteNames, chosen);
  }

  void runOnOperation() override {
    SmallVector<func::FuncOp> graphs = getGraphs(getOperation());
    if (graphs.empty())
      return;
    numbers = ModelNumbers::getWithProfile(getOperation(), passName);
    if (!numbers)
      return signalPassFailure();
    for (func::FuncOp function : graphs) {
      hoistWeightOps(function);
      // Sites do not see each other: rows of a weight that become more do not
      // change what its columns are worth.
      SmallVector<std::pair<Site, GatherAttr>> splits;
      std::vector<Site> found = findSites(function);
      for (const Site &site : found) {
        Result<GatherAttr> gather = choose(site, countLayers(found));
        if (!gather) {
          getOperation().emitError(gather.error().message);
          return signalPassFailure();
        }
        if (*gather)
          splits.push_back({site, *gather});
      }
      insert(function, splits);
      tidyWeightOps(function);
    }
  }

private:
  bool isChosen(llvm::StringRef site) const {
    return llvm::is_contained(chosen, site);
  }

  std::vector<Site> findSites(func::FuncOp function) {
    WeightRoles roles(function);
    llvm::MapVector<Value, Site> found;
    for (auto linear : function.getOps<LinearOp>()) {
      const WeightUse &use = *roles.lookup(linear);
      llvm::StringRef kind =
          use.roles & HeadRole     ? llvm::StringRef()
          : use.roles & OutputRole ? llvm::StringRef(siteNames[1])
          : use.roles & DownRole   ? llvm::StringRef(siteNames[2])
          : use.roles & (QueryRole | KeyRole | ValueRole | GateRole | UpRole)
              ? llvm::StringRef(siteNames[0])
              : llvm::StringRef();
      if (kind.empty() || !isChosen(kind) || use.layer < 0 ||
          !onlyPlainLinearsRead(linear.getInput()))
        continue;
      Site &site = found[linear.getInput()];
      site.rows = linear.getInput();
      site.kind = kind;
      site.layer = use.layer;
      site.linears.push_back(linear);
    }
    std::vector<Site> result;
    for (auto &entry : found)
      if (llvm::none_of(entry.second.linears, isTaken))
        result.push_back(std::move(entry.second));
    return result;
  }

  /// Whether the weight is split already, or multiplies other rows as well.
  static bool isTaken(LinearOp linear) {
    Value weight = linear.getWeight();
    return weight.getDefiningOp<SpreadOp>() ||
           llvm::any_of(weight.getUsers(), [&](Operation *user) {
             auto other = dyn_cast<LinearOp>(user);
             return !other || other.getInput() != linear.getInput();
           });
  }

  static int64_t countLayers(const std::vector<Site> &found) {
    int64_t layers = 0;
    for (const Site &site : found)
      layers = std::max(layers, site.layer + 1);
    return layers;
  }

  /// Which columns of a site are split; null where none is.
  Result<GatherAttr> choose(const Site &site, int64_t layers) {
    double depth =
        layers < 2 ? 0 : double(site.layer) / static_cast<double>(layers - 1);
    double ratio = firstRatio + depth * (lastRatio - firstRatio);
    int64_t columns = site.columns();
    auto wanted = static_cast<int64_t>(std::ceil(ratio * double(columns)));
    if (wanted == 0)
      return GatherAttr();
    LinearOp first = site.linears.front();
    auto input = numbers->input(first.getWeight());
    if (!input)
      return input.error();
    // Linears that the profile does not know keep their columns.
    if (!*input || (*input)->diagonal.empty())
      return GatherAttr();
    std::vector<double> weight, largest(columns);
    for (LinearOp linear : site.linears) {
      Result<std::vector<double>> part = numbers->weight(linear.getWeight());
      if (!part)
        return part.error();
      weight.insert(weight.end(), part->begin(), part->end());
    }
    for (size_t i = 0; i < weight.size(); ++i)
      largest[i % columns] =
          std::max(largest[i % columns], std::fabs(weight[i]));
    std::vector<int64_t> order(columns);
    std::iota(order.begin(), order.end(), 0);
    const std::vector<double> &diagonal = (*input)->diagonal;
    auto urgency = [&](int64_t column) {
      return std::sqrt(diagonal[column]) * largest[column];
    };
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      double first = urgency(a), second = urgency(b);
      return first != second ? first > second : a < b;
    });
    int64_t group = formatAttr.getGroup();
    int64_t block =
        group == 0 ? activationColumns : std::min(group, activationColumns);
    std::vector<int64_t> index = chooseIndex(order, wanted, copies, block,
                                             std::max(group, kernelColumns));
    if (Status status = note(site, weight, diagonal, index))
      return *status;
    return GatherAttr::get(&getContext(), columns, makeRuns(index), false,
                           false);
  }

  /// Puts Σ h (w − ŵ)² without and with the split into the ledger.
  Status note(const Site &site, const std::vector<double> &weight,
              const std::vector<double> &diagonal,
              const std::vector<int64_t> &index) {
    auto columns = static_cast<int64_t>(diagonal.size());
    auto width = static_cast<int64_t>(index.size());
    int64_t rows = static_cast<int64_t>(weight.size()) / columns;
    ChannelSplit split(formatAttr.getFormat(), index);
    std::vector<double> wide(rows * width);
    makeGatherRows(columns, index, /*transposed=*/false, /*averaged=*/true)
        ->apply(weight.data(), rows, wide.data());
    for (int64_t row = 0; row < rows; ++row)
      split.spread(&wide[row * width]);
    auto without = roundWeight(weight, rows, columns, choice, {}, site.name());
    auto with = roundWeight(wide, rows, width, choice, {}, site.name());
    if (!without || !with)
      return without ? with.error() : without.error();
    std::vector<double> sums(weight.size());
    makeGatherRows(columns, index, /*transposed=*/true, /*averaged=*/false)
        ->apply(with->data(), rows, sums.data());
    noteDecision(getOperation(), passName, site.name(),
                 std::to_string(width - columns) + " columns added",
                 diagonalError(weight, *without, diagonal),
                 diagonalError(weight, sums, diagonal));
    return std::nullopt;
  }

  /// Copies columns of rows and weights, then moves the weights' copies apart.
  void insert(func::FuncOp function,
              ArrayRef<std::pair<Site, GatherAttr>> splits) {
    for (const auto &[site, gather] : splits) {
      OpBuilder weights = weightBuilder(function);
      Transform copy{gather, {}};
      insertPair(site.rows, copy, invert(weights, site.rows.getLoc(), copy));
    }
    foldTransforms(function, TiedHead::Untie);
    for (const auto &[site, gather] : splits)
      for (LinearOp linear : site.linears) {
        OpBuilder weights = weightBuilder(function);
        linear.getWeightMutable().assign(SpreadOp::create(
            weights, linear.getLoc(), linear.getWeight().getType(),
            linear.getWeight(), gather, formatAttr));
      }
  }

  SmallVector<llvm::StringRef> chosen;
  RoundingChoice choice;
  IntAttr formatAttr;
  const ModelNumbers *numbers = nullptr;
};

} // namespace
