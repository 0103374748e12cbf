"""The Faust edge: decode, call the pure logic, emit, acknowledge. One module a room, one process a room."""
