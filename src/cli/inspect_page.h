// The HTML page of `switchyard inspect`: one self-contained file, no network, no library.
#pragma once

#include <string>
#include <vector>

#include "cli/route_statistics.h"
#include "cli/training_history.h"

namespace switchyard::cli {

struct InspectPage {
  std::string title = {};
  std::vector<std::pair<std::string, std::string>> facts = {};  // name, value
  std::vector<std::string> tokens = {};                         // text of each kept token
  std::size_t routed_tokens = 0;                                // of the whole text
  TrainingHistory history = {};                                 // of the run that made the model
};

// The load as a heat map of layer x expert, SVG.
std::string load_heat_map(const RouteStatistics& routes);

std::string render(const InspectPage& page, const RouteStatistics& routes);

}  // namespace switchyard::cli
