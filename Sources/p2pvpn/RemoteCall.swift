// The local API's calls: JSON-RPC 2.0 (jsonrpc.org/specification) as HTTP POST. What can be called stands in
// the `Catalogue`.
//
// An error has the code −32000 − n, n being the exit code that the program would end with, or one of those
// that the specification sets aside, or `tooLarge`.
//
// Who posts a call with `Accept: text/event-stream` has a stream for an answer: what the call says of its
// progress, each a notification {"jsonrpc":"2.0","method":"progress","params":{…}}, and at last the response.

import Base

/// Requests and answers, as both sides write and read them.
enum RemoteCall {
  /// The longest request, in bytes.
  static let requestBytesMax = 64 << 10
  /// The longest response, in bytes: what is larger has to be asked for in pages.
  static let responseBytesMax = 4 << 20

  private static let invalidJSON: Int64 = -32_700
  private static let invalidRequest: Int64 = -32_600
  private static let unknownMethod: Int64 = -32_601
  private static let invalidParameters: Int64 = -32_602
  private static let application: Int64 = -32_000
  /// Beyond all exit codes.
  static let tooLarge: Int64 = -32_050

  /// A request that could not be understood.
  struct Refusal: Error, Sendable, Equatable {
    let code: Int64
    let message: String

    static func request(_ message: String) -> Refusal { Refusal(code: invalidRequest, message: message) }
    static func parameters(_ message: String) -> Refusal {
      Refusal(code: invalidParameters, message: message)
    }
    static func method(_ name: String, _ nearest: String?) -> Refusal {
      let advice = nearest.map { "did you mean \($0)?" } ?? "`help` lists all"
      return Refusal(code: unknownMethod, message: "there is no method \(name): \(advice)")
    }
  }

  /// The text of a request.
  static func request(_ method: String, _ parameters: JSON) -> [UInt8] {
    let call: JSON = ["jsonrpc": "2.0", "id": 1, "method": .string(method), "params": parameters]
    return Array(call.text.utf8)
  }

  /// What a request's text asks, and the ID that its answer has to bear.
  static func errand(in bytes: [UInt8]) -> (id: JSON, Result<Call.Errand, Refusal>) {
    let request: JSON
    do throws(JSONError) {
      request = try JSONParser.parse(bytes)
    } catch {
      let message = "not JSON: \(error.reason), at byte \(error.offset)"
      return (nil, .failure(Refusal(code: invalidJSON, message: message)))
    }
    let id = request["id"]
    switch id {
    case .null, .string, .integer, .number: break
    default: return (nil, .failure(.request("the id of a request is a text or a number")))
    }
    guard request["jsonrpc"].asString == "2.0", let method = request["method"].asString else {
      return (id, .failure(.request("not a JSON-RPC 2.0 request (no batches here)")))
    }
    do throws(Refusal) {
      let call = try Catalogue.call(method)
      return (id, .success(try call.errand(try Parameters(request["params"], of: call))))
    } catch {
      return (id, .failure(error))
    }
  }

  /// The text of a response.
  static func response(_ id: JSON, _ answer: Answer) -> [UInt8] {
    switch answer {
    case .success(let value):
      var text: [UInt8] = []
      let response: JSON = ["jsonrpc": "2.0", "id": id, "result": value]
      response.write(to: &text)
      guard text.count > responseBytesMax else { return text }
      let message =
        "the answer has \(text.count) bytes, and may have \(responseBytesMax): ask for it in pages "
        + "(limit and after), if the call has those, or for less"
      return Self.response(id, Refusal(code: tooLarge, message: message))
    case .failure(let failure): return response(id, refusal(failure))
    }
  }

  static func response(_ id: JSON, _ refusal: Refusal) -> [UInt8] {
    let response: JSON = [
      "jsonrpc": "2.0", "id": id,
      "error": ["code": .integer(refusal.code), "message": .string(refusal.message)],
    ]
    return Array(response.text.utf8)
  }

  /// A failure in the words of the API.
  static func refusal(_ failure: Failure) -> Refusal {
    Refusal(code: application - Int64(failure.status.rawValue), message: failure.message)
  }

  /// How far a call has come, on its way to the caller.
  static func progress(_ value: JSON) -> JSON {
    ["jsonrpc": "2.0", "method": "progress", "params": value]
  }

  /// What the text of a response says.
  static func result(in bytes: [UInt8]) throws(Failure) -> JSON {
    try result(in: try parsed(bytes))
  }

  /// What a node has written.
  static func parsed(_ text: [UInt8]) throws(Failure) -> JSON {
    do throws(JSONError) {
      return try JSONParser.parse(text)
    } catch {
      throw Failure(.failed, "the node's answer is not JSON: is another program on that socket?")
    }
  }

  static func result(in response: JSON) throws(Failure) -> JSON {
    guard response["error"] != nil else { return response["result"] }
    let status = response["error"]["code"].asInteger.flatMap {
      ExitStatus(rawValue: Int32(clamping: application - $0))
    }
    throw Failure(status ?? .failed, response["error"]["message"].asString ?? "the node refused")
  }
}
