#include "cli/child_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "switchyard/error.h"

namespace switchyard::cli {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }
  int get() const { return fd_; }
  void reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      throw Error({.what = std::string("cannot make a pipe: ") + std::strerror(errno),
                   .where = "child process"});
    }
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  Descriptor read;
  Descriptor write;
};

// Holds SIGINT and SIGTERM back. A child begins with its parent's handlers, which would swallow a
// signal that is meant to end it; held back, the signal waits until the child has dropped them.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &held, &before_);
  }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  const sigset_t& before() const { return before_; }

 private:
  sigset_t before_{};
};

// Only calls that are safe between fork and exec.
[[noreturn]] void become_child(const char* program, char* const* argv, const char* join_file,
                               int out, int err, const sigset_t& signals) {
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  pthread_sigmask(SIG_SETMASK, &signals, nullptr);
  if (*join_file != '\0') {
    const int fd = open(join_file, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) _exit(127);
  }
  if (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0) _exit(127);
  execv(program, argv);
  _exit(127);
}

// Reads both pipes to their ends.
void collect(int out, int err, ChildResult& result) {
  std::array<pollfd, 2> ends = {
      {{.fd = out, .events = POLLIN, .revents = 0}, {.fd = err, .events = POLLIN, .revents = 0}}};
  std::array<char, 4096> buffer{};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    if (poll(ends.data(), ends.size(), -1) < 0 && errno != EINTR) break;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends[i].fd < 0 || ends[i].revents == 0) continue;
      const ssize_t n = read(ends[i].fd, buffer.data(), buffer.size());
      if (n > 0) {
        (i == 0 ? result.out : result.err).append(buffer.data(), static_cast<std::size_t>(n));
      } else if (n == 0 || errno != EINTR) {
        ends[i].fd = -1;
      }
    }
  }
}

}  // namespace

ChildResult run_program(const std::string& program, const Arguments& arguments,
                        const std::string& join_file, std::stop_token stop) {
  std::vector<std::string> storage{"switchyard"};
  storage.insert(storage.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(storage.size() + 1);
  for (std::string& s : storage) argv.push_back(s.data());
  argv.push_back(nullptr);

  Pipe out;
  Pipe err;
  pid_t child = 0;
  {
    const SignalsHeld signals;
    child = fork();
    if (child == 0) {
      become_child(program.c_str(), argv.data(), join_file.c_str(), out.write.get(),
                   err.write.get(), signals.before());
    }
  }
  if (child < 0) {
    throw Error({.what = std::string("cannot start a process: ") + std::strerror(errno),
                 .where = "child process"});
  }
  out.write.reset();
  err.write.reset();
  ChildResult result;
  {
    // Ends before the child is waited for: until then its number is no other process's.
    const std::stop_callback end_child(stop, [child] { kill(child, SIGTERM); });
    collect(out.read.get(), err.read.get(), result);
  }
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.peak_resident = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  return result;
}

ChildResult run_self(const Arguments& arguments, const std::string& join_file,
                     std::stop_token stop) {
  return run_program("/proc/self/exe", arguments, join_file, std::move(stop));
}

}  // namespace switchyard::cli
