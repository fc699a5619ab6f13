// The figures of an experiment: means over seeds, and how far seeds are apart.
#pragma once

#include <string>
#include <vector>

#include "switchyard/file_system.h"

#include "train/experiment.h"
#include "train/experiment_report.h"

namespace switchyard::train {

struct Figure {
  std::string name;  // of the file
  std::string svg;
};

//   plot.svg         validation loss (bits per byte of byte-level data) over steps, or over
//   training
//                    FLOPs where they are what the arms have in common
//   arms.svg         the metric of the first claim that compares arms
//   differences.svg  method minus baseline of all claims with that metric, with their intervals
//   runtime.svg      tokens per second in the runtime, if it was measured
//   sweep.svg        bits per byte over K, if K was swept
std::vector<Figure> plot_experiment(FileSystem& fs, const Experiment& experiment,
                                    const std::vector<FinishedRun>& runs);

}  // namespace switchyard::train
