// The log of a run: one JSON object a line in log.jsonl.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard::train {

// Thread rule: one caller. A line is on disk after sync().
class RunLog {
 public:
  // Starts an empty log, or, with `resume_after` >= 0, keeps the lines up to that step of the log
  // that is there: what a killed run wrote after its last checkpoint is written again by the
  // resumed one.
  RunLog(FileSystem& fs, const std::string& path, std::int64_t resume_after);

  void write(const nlohmann::json& line);
  void sync();

 private:
  std::unique_ptr<WritableFile> file_;
};

// The lines of a log that are whole; a cut last line is left out.
std::vector<nlohmann::json> read_log(FileSystem& fs, const std::string& path);

}  // namespace switchyard::train
