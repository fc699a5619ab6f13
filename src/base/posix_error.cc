#include "base/posix_error.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <system_error>
#include <utility>

namespace switchyard {
namespace {

struct Advice {
  int error_number;
  std::string_view reason;
  std::string_view fix;
};

constexpr Advice kAdvice[] = {
    {ENOENT, "no such file or directory", "check the path"},
    {ENOTDIR, "a part of the path is a file, not a directory", "check the path"},
    {EISDIR, "it is a directory", "name a file"},
    {EEXIST, "it exists already", "choose another name or remove it"},
    {ENOTEMPTY, "the directory is not empty", "choose another name or empty it"},
    {EACCES, "permission denied", "give this user access or choose another path"},
    {EPERM, "the operation is not permitted", "give this user access or choose another path"},
    {EROFS, "the file system is read-only", "choose a directory that can be written"},
    {ENOSPC, "the disk is full", "free some space or choose a directory on another disk"},
    {EDQUOT, "the disk quota is used up", "free some space or choose another directory"},
    {EFBIG, "the file would be larger than the system allows",
     "raise the file size limit (ulimit -f) or choose another file system"},
    {EMFILE, "this process has too many open files", "raise the limit (ulimit -n)"},
    {ENFILE, "the machine has too many open files", "close other programs or raise fs.file-max"},
    {ENAMETOOLONG, "the name is too long", "choose a shorter path"},
    {ELOOP, "too many symbolic links", "check the path for a link that points to itself"},
    {EXDEV, "source and target are on different file systems",
     "choose a target on the same file system"},
    {EBUSY, "it is in use", "close the program that uses it"},
    {ETXTBSY, "it is a program that is running", "stop the program or choose another path"},
    {EIO, "the device reported an error", "check the disk (dmesg, smartctl) and try again"},
    {ESTALE, "the network file system lost the file", "mount it again"},
    {ENOMEM, "the system is out of memory", "free memory and try again"},
    {EAGAIN, "the system is short of a resource", "try again when it is less busy"},
};

}  // namespace

Error posix_error(int error_number, std::string_view doing, std::string where) {
  const auto* advice = std::find_if(std::begin(kAdvice), std::end(kAdvice), [&](const Advice& row) {
    return row.error_number == error_number;
  });
  const bool known = advice != std::end(kAdvice);
  std::string what = "cannot ";
  what += doing;
  what += ": ";
  // std::system_category() rather than strerror(), which is not thread safe.
  what += known ? std::string(advice->reason) : std::system_category().message(error_number);
  return Error({.what = std::move(what),
                .where = std::move(where),
                .fix = known ? std::string(advice->fix) : std::string()});
}

}  // namespace switchyard
