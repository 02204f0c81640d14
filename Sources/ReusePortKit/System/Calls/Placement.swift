/// An open descriptor, and the number that it will have in the target.
struct Placement: ~Copyable {
    var source: Descriptor
    var target: Int32
}
