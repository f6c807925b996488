// The local API's calls: JSON-RPC 2.0 (jsonrpc.org/specification) as HTTP POST.
//
//     status                          peers
//     ping {target, timeout_ms}       lookup {target}
//     path {peer, mode: auto|overlay} route {target}
//     paths {peer}                    leave
//
// An error has the code −32000 − n, n being the exit code that the program would end with, or one of those
// that the specification sets aside.

import Base

/// Requests and answers, as both sides write and read them.
enum RemoteCall {
  /// The longest request, in bytes.
  static let requestBytesMax = 64 << 10
  /// The longest time that a ping may wait, in milliseconds.
  static let patienceMax: Int64 = 30_000
  static let patienceDefault: Int64 = 5_000

  private static let invalidJSON: Int64 = -32_700
  private static let invalidRequest: Int64 = -32_600
  private static let unknownMethod: Int64 = -32_601
  private static let invalidParameters: Int64 = -32_602
  private static let application: Int64 = -32_000

  /// A request that could not be understood.
  struct Refusal: Error {
    let code: Int64
    let message: String
  }

  /// The text of a request.
  static func request(_ method: String, _ parameters: JSON) -> [UInt8] {
    let call: JSON = ["jsonrpc": "2.0", "id": 1, "method": .string(method), "params": parameters]
    return Array(call.text.utf8)
  }

  /// What a request's text asks, and the ID that its answer has to bear.
  static func question(in bytes: [UInt8]) -> (id: JSON, Result<Question, Refusal>) {
    do throws(JSONError) {
      let call = try JSONParser.parse(bytes)
      guard call["jsonrpc"].asString == "2.0", let method = call["method"].asString else {
        return (
          nil,
          .failure(Refusal(code: invalidRequest, message: "not a JSON-RPC 2.0 request (no batches here)"))
        )
      }
      return (call["id"], question(method, call["params"]))
    } catch {
      let message = "not JSON: \(error.reason), at byte \(error.offset)"
      return (nil, .failure(Refusal(code: invalidJSON, message: message)))
    }
  }

  private static func question(_ method: String, _ parameters: JSON) -> Result<Question, Refusal> {
    switch method {
    case "status": return .success(.status)
    case "peers": return .success(.peers)
    case "leave": return .success(.leave)
    case "ping":
      let patience = parameters["timeout_ms"] == nil ? patienceDefault : parameters["timeout_ms"].asInteger
      guard let target = parameters["target"].asString, let patience, (1...patienceMax).contains(patience)
      else {
        return invalid("ping wants a target, and may have a timeout_ms from 1 to \(patienceMax)")
      }
      return .success(.ping(target: target, patience: .milliseconds(UInt64(patience))))
    case "lookup":
      guard let target = parameters["target"].asString else { return invalid("lookup wants a target") }
      return .success(.lookup(target: target))
    case "route":
      guard let target = parameters["target"].asString else { return invalid("route wants a target, an ID") }
      return .success(.route(target: target))
    case "paths":
      guard let peer = parameters["peer"].asString else { return invalid("paths wants a peer") }
      return .success(.paths(peer: peer))
    case "path":
      guard let peer = parameters["peer"].asString, let mode = parameters["mode"].asString,
        mode == "auto" || mode == "overlay"
      else { return invalid("path wants a peer and a mode, auto or overlay") }
      return .success(.path(peer: peer, toOverlay: mode == "overlay"))
    default:
      return .failure(Refusal(code: unknownMethod, message: "there is no method \(method)"))
    }
  }

  private static func invalid(_ message: String) -> Result<Question, Refusal> {
    .failure(Refusal(code: invalidParameters, message: message))
  }

  /// The text of an answer.
  static func response(_ id: JSON, _ answer: Answer) -> String {
    switch answer {
    case .success(let value):
      let response: JSON = ["jsonrpc": "2.0", "id": id, "result": value]
      return response.text
    case .failure(let failure):
      return refusal(id, application - Int64(failure.status.rawValue), failure.message)
    }
  }

  static func response(_ id: JSON, _ refusal: Refusal) -> String {
    self.refusal(id, refusal.code, refusal.message)
  }

  private static func refusal(_ id: JSON, _ code: Int64, _ message: String) -> String {
    let response: JSON = [
      "jsonrpc": "2.0", "id": id, "error": ["code": .integer(code), "message": .string(message)],
    ]
    return response.text
  }

  /// What the text of an answer says.
  static func result(in bytes: [UInt8]) throws(Failure) -> JSON {
    let response: JSON
    do throws(JSONError) {
      response = try JSONParser.parse(bytes)
    } catch {
      throw Failure(.failed, "the node's answer is not JSON: is another program on that socket?")
    }
    guard response["error"] != nil else { return response["result"] }
    let status = response["error"]["code"].asInteger.flatMap {
      ExitStatus(rawValue: Int32(clamping: application - $0))
    }
    throw Failure(status ?? .failed, response["error"]["message"].asString ?? "the node refused")
  }
}
