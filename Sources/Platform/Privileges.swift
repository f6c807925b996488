// Least privilege: after set-up the daemon needs CAP_NET_ADMIN for its interface and nothing else.
import CLinux

/// Gives up every capability of this thread but CAP_NET_ADMIN, for good, also across exec.
///
/// Capabilities belong to a thread and are inherited by those it starts: call it on the main thread, when the
/// sockets, the TUN device and the state directory are open, and before any other thread exists.
public func dropPrivileges() throws(CallError) {
  try checkedNegated(linux_keep_net_admin(), "capset")
}
