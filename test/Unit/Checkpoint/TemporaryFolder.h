//===- TemporaryFolder.h - A folder that a test may fill --------*- C++ -*-===//
#ifndef LOWBIT_TEST_UNIT_CHECKPOINT_TEMPORARYFOLDER_H
#define LOWBIT_TEST_UNIT_CHECKPOINT_TEMPORARYFOLDER_H

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace lowbit {

/// A new folder, removed with all that is in it at the end of the test.
class TemporaryFolder {
public:
  TemporaryFolder() {
    char name[] = "/tmp/lowbit-test-XXXXXX";
    folder = mkdtemp(name);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  TemporaryFolder(const TemporaryFolder &) = delete;

  const std::string &path() const { return folder; }
  std::string operator/(const std::string &name) const {
    return folder + "/" + name;
  }
  /// Writes a file of that name; its path.
  std::string write(const std::string &name, const std::string &text) const {
    std::ofstream(*this / name, std::ios::binary) << text;
    return *this / name;
  }
  std::string read(const std::string &name) const {
    std::ifstream file(*this / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

private:
  std::string folder;
};

} // namespace lowbit

#endif // LOWBIT_TEST_UNIT_CHECKPOINT_TEMPORARYFOLDER_H
