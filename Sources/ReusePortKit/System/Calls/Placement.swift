/// An open descriptor, and the number at which the target expects it.
struct Placement: ~Copyable {
    var source: Descriptor
    var target: Int32
}
