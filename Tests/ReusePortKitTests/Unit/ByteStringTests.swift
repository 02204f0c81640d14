import Testing

@testable import ReusePortKit

@Suite struct ByteStringTests {
    @Test(arguments: [("a\nb", "a\\nb"), ("\u{7f}", "\\x7f"), ("grün", "grün"), ("\u{85}", "\\xc2\\x85")])
    func printable(text: String, shown: String) {
        #expect(ByteString(text).printable == ByteString(shown))
    }
}
