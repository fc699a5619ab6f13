#include <cstdio>
#include <exception>
#include <random>
#include <utility>

#include "switchyard/error.h"
#include "switchyard/file_system.h"

#include "base/check.h"

namespace switchyard {
namespace {

// Small appends are gathered into writes of this size.
constexpr std::size_t kBufferBytes = std::size_t{256} << 10;
constexpr std::string_view kTemporaryMark = ".tmp-";
constexpr std::size_t kTemporaryDigits = 16;

std::string parent_directory(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  if (slash == 0) return "/";
  return path.substr(0, slash);
}

// Random, so that two processes (on two machines that share a disk, too) never write into the same
// temporary.
std::string temporary_sibling(const std::string& path) {
  std::random_device device;
  char digits[kTemporaryDigits + 1];
  std::snprintf(digits, sizeof digits, "%08x%08x", device(), device());
  return path + std::string(kTemporaryMark) + digits;
}

std::string join(const std::string& directory, const std::string& name) {
  std::string path = directory;
  path += '/';
  path += name;
  return path;
}

bool is_temporary(const std::string& name) {
  const auto mark = name.rfind(kTemporaryMark);
  if (mark == std::string::npos) return false;
  const std::string digits = name.substr(mark + kTemporaryMark.size());
  return digits.size() == kTemporaryDigits &&
         digits.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

AtomicFile::AtomicFile(FileSystem& fs, std::string path)
    : fs_(fs), path_(std::move(path)), temporary_(temporary_sibling(path_)) {
  file_ = fs_.create(temporary_);
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::append(std::span<const std::byte> data) {
  SWITCHYARD_CHECK(file_ != nullptr);
  try {
    if (buffer_.size() + data.size() > kBufferBytes) flush();
    if (data.size() > kBufferBytes) {
      file_->append(data);
    } else {
      buffer_.insert(buffer_.end(), data.begin(), data.end());
    }
    size_ += data.size();
  } catch (const std::exception&) {
    discard();  // at once: on a full disk the space is wanted back before the caller handles the
                // error
    throw;
  }
}

void AtomicFile::append(const std::string& text) { append(std::as_bytes(std::span(text))); }

void AtomicFile::commit() {
  SWITCHYARD_CHECK(file_ != nullptr);
  try {
    flush();
    file_->sync();
    file_->close();
    fs_.rename(temporary_, path_);
  } catch (const std::exception&) {
    discard();
    throw;
  }
  file_.reset();
  fs_.sync_directory(parent_directory(path_));
}

void AtomicFile::flush() {
  if (!buffer_.empty()) file_->append(buffer_);
  buffer_.clear();
}

void AtomicFile::discard() noexcept {
  if (!file_) return;
  file_.reset();
  try {
    fs_.remove(temporary_);
  } catch (const std::exception&) {
    // The first error is the one worth telling; remove_stale_temporaries() finds what is left.
  }
}

void write_file_atomically(FileSystem& fs, const std::string& path, const std::string& content) {
  AtomicFile file(fs, path);
  file.append(content);
  file.commit();
}

void remove_stale_temporaries(FileSystem& fs, const std::string& directory) {
  for (const std::string& name : fs.list(directory)) {
    if (is_temporary(name)) fs.remove(join(directory, name));
  }
}

}  // namespace switchyard
