// The curves of an experiment's arms in one plot.
#pragma once

#include <string>
#include <vector>

#include "switchyard/file_system.h"

#include "train/experiment.h"
#include "train/experiment_report.h"

namespace switchyard::train {

// Validation loss over steps as SVG, an arm a line: the mean over seeds, and a band from the lowest
// to the highest. `logs`: the log of each run.
std::string plot_experiment(FileSystem& fs, const Experiment& experiment,
                            const std::vector<FinishedRun>& runs,
                            const std::vector<std::string>& logs);

}  // namespace switchyard::train
