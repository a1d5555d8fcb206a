//===- LinearStep.h - One linear of a model, run alone ----------*- C++ -*-===//
//
// Finds the step of a plan that multiplies by a parameter and runs it on rows
// of the caller: with the artifact's own quantizer (PlanStep::plain) and
// kernel, so that a training loop computes exactly what is deployed.
//
//   auto step = LinearStep::find(model, "layers.0.down", 0);
//   step->run(pool, x, rows, y);
//
// The bias of the linear is added, a residual that the plan adds in the same
// step is not.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_LINEARSTEP_H
#define LOWBIT_RUNTIME_LINEARSTEP_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/Memory.h"
#include "lowbit/Runtime/Model.h"
#include "lowbit/Runtime/Plan.h"
#include "lowbit/Runtime/ThreadPool.h"

#include <cstdint>
#include <string>
#include <vector>

namespace lowbit {

/// See the head of this file. Keeps a reference to the model.
class LinearStep {
public:
  /// The linear whose weight is the parameter `name` of the manifest, at bit
  /// width `width`. Exit 2 for a name that there is not or that no linear
  /// multiplies by, 4 where the plan cannot run it alone.
  static Result<LinearStep> find(const Model &model, const std::string &name,
                                 int64_t width);

  /// Inputs and outputs of the linear.
  int64_t columns() const { return tensor->columns; }
  int64_t outputs() const { return tensor->rows; }

  /// y [rows][outputs] from x [rows][columns], any number of rows. Exit 6
  /// where buffers do not fit, 4 and 7 as chooseKernel.
  Status run(ThreadPool &pool, const float *x, int64_t rows, float *y) const;

private:
  /// Where a plan has the linear: in `entry`, step `linear`, its weight at
  /// argument `weight`, and, for integers, the step that quantizes its input.
  struct Place {
    const PlanEntry *entry;
    const PlanStep *linear;
    const PlanStep *quantizer;
    size_t weight;
  };

  LinearStep(const Model &model, const ManifestTensor &tensor, int64_t width)
      : model(&model), tensor(&tensor), width(width) {}
  Result<Place> placeFor(int64_t rows) const;
  Status check(const Place &place, int64_t rows) const;
  bool isWeight(const PlanArgument &arg) const;
  int64_t bytesOf(const PlanArgument &arg, int64_t rows) const;
  Status runBatch(ThreadPool &pool, std::vector<Memory> &scratch,
                  const Place &place, const float *x, int64_t rows,
                  float *y) const;

  const Model *model;
  const ManifestTensor *tensor;
  int64_t width;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_LINEARSTEP_H
