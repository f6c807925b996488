// Which library seals and opens AES-256-GCM records: libipsec-mb where it is installed, else libsodium.
//
// It makes no difference on the wire, only to the time that a record takes: libipsec-mb is several times
// faster, but exists for x86-64 only. A library that cannot pass the self-test is not used. The program
// chooses once, at its start; until it does, and in tests and simulations, libsodium does the work. All else
// (handshakes, ChaCha20-Poly1305) is libsodium's in any case.
//
// The figures that decided how: an expanded key takes 1,024 bytes instead of 512, so a generation has 1 KiB
// more. That is too little to keep two forms of each key, a small one for control records and a large one
// made at the first data record, which would bring an allocation and a branch to the way of packets.

import Base
import CAEAD
import CSodium

/// A library for AES-256-GCM.
public enum BulkAEAD: UInt8, Sendable, BitwiseCopyable {
  case libsodium
  case ipsecMB

  /// What somebody wants to be used.
  public enum Wish: UInt8, Sendable, BitwiseCopyable {
    /// The fastest that is there.
    case automatic
    case libsodium
    /// libipsec-mb; where it may not be used, libsodium all the same.
    case ipsecMB
  }

  /// What tables of sessions that are made from now on use.
  public static var chosen: BulkAEAD { choice }

  nonisolated(unsafe) private static var choice = BulkAEAD.libsodium

  /// Chooses the library for all tables of sessions that are made later. *Precondition:* there is one thread,
  /// and no table yet.
  /// - Returns: what is used.
  @discardableResult public static func choose(_ wish: Wish) -> BulkAEAD {
    choice = best(wish)
    return choice
  }

  /// What `wish` comes to on this machine.
  static func best(_ wish: Wish) -> BulkAEAD { wish != .libsodium && ipsecMBIsSound ? .ipsecMB : .libsodium }

  /// Whether libipsec-mb is there and passed the self-test.
  static let ipsecMBIsSound = Sodium.hasAES && caead_load() == 1 && AEADTrial.passes(.aes256gcmIPSecMB)

  /// Name and version of the library, as `status` shows them.
  public var name: String {
    switch self {
    case .libsodium: "libsodium \(String(cString: sodium_version_string()))"
    case .ipsecMB: Self.ipsecMBIsSound ? "libipsec-mb \(String(cString: caead_version()))" : "libipsec-mb"
    }
  }
}
