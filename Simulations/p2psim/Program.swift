// The program `p2psim`.

@main struct Program { static func main() {} }
