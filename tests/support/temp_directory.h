// A directory of one test, removed with all it holds at the end.
#pragma once

#include <filesystem>
#include <random>
#include <string>
#include <string_view>

namespace switchyard::test {

class TempDirectory {
 public:
  TempDirectory() {
    std::random_device device;
    const auto name = "switchyard-" + std::to_string(device()) + std::to_string(device());
    path_ = std::filesystem::temp_directory_path() / name;
    std::filesystem::create_directories(path_);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string path() const { return path_.string(); }
  std::string file(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace switchyard::test
