// RUN: lowbit-opt %s --convert-tiles-to-host --split-input-file --verify-diagnostics

// expected-error @+1 {{is no block program: it has no attribute 'lowbit.threads'}}
func.func @plain(%rows: i64, %shared: !llvm.ptr<3>) attributes {lowbit.kernel = "plain", lowbit.variant = 1 : i32} {
  return
}

// -----

func.func @votes(%rows: i64, %shared: !llvm.ptr<3>) attributes {lowbit.kernel = "votes", lowbit.variant = 1 : i32, lowbit.threads = 32 : i32, lowbit.shared = 0 : i32} {
  // expected-error @+1 {{is not emulated}}
  nvvm.cp.async.commit.group
  return
}
