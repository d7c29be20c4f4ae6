package bench

import (
	"io"
	"net"
	"syscall"
)

// discardBuffer bounds what one system call discards. Nothing is ever written to it.
var discardBuffer = make([]byte, 1<<20)

// lowWaterMark is how many bytes have to arrive before discard wakes up. Twice as many fit into the receive buffer.
const lowWaterMark = 128 << 10

// discard reads until the connection ends, in large pieces and without copying. In production, clients run on other
// machines, so the benchmark's clients should use as little CPU as possible.
// Sources: MSG_TRUNC in tcp(7), SO_RCVLOWAT in socket(7).
func discard(conn net.Conn) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, lowWaterMark)
	})
	_ = raw.Read(func(fd uintptr) (ended bool) {
		n, _, err := syscall.Recvfrom(int(fd), discardBuffer, syscall.MSG_TRUNC)
		if err != nil {
			return err != syscall.EAGAIN && err != syscall.EINTR
		}
		return n == 0
	})
}
