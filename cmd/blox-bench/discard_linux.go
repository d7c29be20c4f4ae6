package main

import (
	"io"
	"net"
	"syscall"
)

// room is as large as what one system call takes. Nothing is ever written to it.
var room = make([]byte, 1<<20)

// atOnce is how much has to have arrived before discard takes it, in bytes.
const atOnce = 32 << 10

// discard reads what arrives until the connection ends, much at a time and without a copy: a client on another machine would
// cost this one nothing. Sources: MSG_TRUNC in tcp(7), SO_RCVLOWAT in socket(7).
func discard(conn net.Conn) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, atOnce)
	})
	_ = raw.Read(func(fd uintptr) (ended bool) {
		n, _, err := syscall.Recvfrom(int(fd), room, syscall.MSG_TRUNC)
		return n == 0 && err == nil || err != nil && err != syscall.EAGAIN && err != syscall.EINTR
	})
}
