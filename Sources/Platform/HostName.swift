// From the name of a bootstrap to endpoints.
//
// getaddrinfo honours everything the administrator has set up (hosts file, search domains, mDNS) and blocks
// for as long as it likes, so it runs on a thread of its own. The answer comes on that thread; whoever runs a
// loop posts it there with a `Wakeup`. A lookup cannot be cancelled: keep at most one a name under way.
import Base
import CLinux
import Glibc

/// A name that could not be resolved.
public struct ResolveError: ExplainedError, Equatable {
  public let host: String
  public let reason: String
  public let advice: String

  public var description: String { "cannot resolve \(host): \(reason)" }
}

public enum HostName {
  /// The most endpoints an answer has; the rest is left out.
  public static let endpointsMax = 16

  /// Finds the endpoints of `host` (a name, or an address with or without brackets) in the order of RFC 6724.
  /// - Parameter done: called once: at once on this thread when `host` is an address, else on a thread of its
  ///   own.
  public static func resolve(
    _ host: String, port: UInt16, _ done: @escaping @Sendable (Result<[Endpoint], ResolveError>) -> Void
  ) {
    let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
    if let address = IPAddress(bare) { return done(.success([Endpoint(address, port: port)])) }
    do {
      try detach { done(look(up: bare, port: port)) }
    } catch {
      done(.failure(ResolveError(host: host, reason: error.description, advice: error.advice)))
    }
  }

  private static func look(up host: String, port: UInt16) -> Result<[Endpoint], ResolveError> {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var first: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, nil, &hints, &first)
    let cause = errno
    guard code == 0 else {
      let reason = code == EAI_SYSTEM ? CallError.text(cause) : String(cString: gai_strerror(code))
      return .failure(ResolveError(host: host, reason: reason, advice: advice(code)))
    }
    defer { freeaddrinfo(first) }
    var endpoints: [Endpoint] = []
    var next = first
    while let entry = next?.pointee, endpoints.count < endpointsMax {
      next = entry.ai_next
      guard let address = address(of: entry) else { continue }
      let endpoint = Endpoint(address, port: port)
      if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
    }
    if endpoints.isEmpty {
      return .failure(ResolveError(host: host, reason: "it has no IP address", advice: advice(EAI_NONAME)))
    }
    return .success(endpoints)
  }

  private static func address(of entry: addrinfo) -> IPAddress? {
    guard let base = UnsafeRawPointer(entry.ai_addr) else { return nil }
    switch entry.ai_family {
    case AF_INET:
      return IPAddress(v4: UInt32(bigEndian: base.loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr))
    case AF_INET6:
      let at = MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr)!
      return IPAddress(
        high: UInt64(bigEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self)),
        low: UInt64(bigEndian: base.loadUnaligned(fromByteOffset: at + 8, as: UInt64.self)))
    default: return nil
    }
  }

  private static func advice(_ code: Int32) -> String {
    switch code {
    case EAI_AGAIN: "the name server does not answer; it is tried again"
    case EAI_NONAME: "check the spelling, or give an address instead of a name"
    default: ""
    }
  }
}
