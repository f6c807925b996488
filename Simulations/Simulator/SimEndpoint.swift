// An address and a port of a simulated underlay, in eight bytes.

import Base

/// An IPv4 address and a UDP port.
struct SimEndpoint: Equatable, BitwiseCopyable {
  var address: UInt32
  var port: UInt16

  init(_ address: UInt32, port: UInt16) {
    self.address = address
    self.port = port
  }

  /// Nil for what no simulated underlay carries.
  init?(_ endpoint: Endpoint) {
    guard endpoint.address.isV4 else { return nil }
    self.init(endpoint.address.v4, port: endpoint.port)
  }

  /// Both in one word.
  var word: UInt64 { UInt64(address) &<< 16 | UInt64(port) }

  var endpoint: Endpoint { Endpoint(IPAddress(v4: address), port: port) }
}
