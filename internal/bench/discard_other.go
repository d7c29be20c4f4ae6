//go:build !linux

package bench

import (
	"io"
	"net"
)

// discard reads until the connection ends.
func discard(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
