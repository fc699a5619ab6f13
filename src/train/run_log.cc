#include "train/run_log.h"

#include <span>

namespace switchyard::train {

std::vector<nlohmann::json> read_log(FileSystem& fs, const std::string& path) {
  std::vector<nlohmann::json> lines;
  if (!fs.exists(path)) return lines;
  const std::string text = read_file(fs, path);
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    nlohmann::json line =
        nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                              text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (line.is_object()) lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

RunLog::RunLog(FileSystem& fs, const std::string& path, std::int64_t resume_after) {
  std::string kept;
  if (resume_after >= 0) {
    for (const nlohmann::json& line : read_log(fs, path)) {
      if (line.value("step", std::int64_t{0}) <= resume_after) kept += line.dump() + "\n";
    }
  }
  write_file_atomically(fs, path, kept);
  file_ = fs.open_append(path);
}

void RunLog::write(const nlohmann::json& line) {
  const std::string text = line.dump() + "\n";
  file_->append(std::as_bytes(std::span(text)));
}

void RunLog::sync() { file_->sync(); }

}  // namespace switchyard::train
