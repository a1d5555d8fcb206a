//===- PtxasTest.cpp - What the assembler says ------------------*- C++ -*-===//

#include "Ptxas.h"
#include <gtest/gtest.h>

using namespace lowbit;

namespace {

/// A log of CUDA 13: one kernel that spills, one that does not.
const char *const log =
    "ptxas info    : 0 bytes gmem\n"
    "ptxas info    : Compiling entry function 'gate' for 'sm_90a'\n"
    "ptxas info    : Function properties for gate\n"
    "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
    "ptxas info    : Used 32 registers, used 1 barriers, 1024 bytes smem\n"
    "ptxas info    : Compiling entry function 'gate_2' for 'sm_90a'\n"
    "ptxas info    : Function properties for gate_2\n"
    "    16 bytes stack frame, 12 bytes spill stores, 20 bytes spill loads\n"
    "ptxas info    : Used 64 registers, used 1 barriers\n";

std::vector<KernelUsage> named(std::vector<const char *> names) {
  std::vector<KernelUsage> usage(names.size());
  for (size_t i = 0; i < names.size(); ++i)
    usage[i].name = names[i];
  return usage;
}

} // namespace

TEST(Ptxas, ReadsWhatKernelsUse) {
  std::vector<KernelUsage> usage = named({"gate_2", "gate"});
  Status failure = readUsage(log, usage);
  ASSERT_FALSE(failure) << failure->message;
  EXPECT_EQ(usage[0].registers, 64);
  EXPECT_EQ(usage[0].stackBytes, 16);
  EXPECT_EQ(usage[0].spillBytes, 32);
  EXPECT_EQ(usage[0].sharedBytes, 0);
  EXPECT_EQ(usage[1].registers, 32);
  EXPECT_EQ(usage[1].spillBytes + usage[1].stackBytes, 0);
  EXPECT_EQ(usage[1].sharedBytes, 1024);
}

TEST(Ptxas, RefusesALogThatLacksAKernel) {
  std::vector<KernelUsage> usage = named({"gate", "add"});
  Status failure = readUsage(log, usage);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, ExitCode::Internal);
  EXPECT_NE(failure->message.find("describes 1 of 2 kernels"),
            std::string::npos);
}

/// Only the kernel that spills gets the directive, not one whose name begins
/// alike.
TEST(Ptxas, FreesTheRegistersOfKernelsThatSpill) {
  std::vector<KernelUsage> usage = named({"gate", "gate_2"});
  ASSERT_FALSE(readUsage(log, usage));
  EXPECT_EQ(freeRegisters(".visible .entry gate(\n)\n.reqntid 256\n{\n}\n"
                          ".visible .entry gate_2(\n)\n.reqntid 128\n{\n}\n",
                          usage),
            ".visible .entry gate(\n)\n.reqntid 256\n{\n}\n"
            ".visible .entry gate_2(\n)\n.reqntid 128\n.minnctapersm 1\n{\n"
            "}\n");
}
