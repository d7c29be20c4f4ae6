package harness

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports of FreeAddress. The system takes ports from 32768 up for outgoing connections, so none of these becomes taken
// while its owner restarts.
const firstPort, lastPort = 10_000, 31_999

var (
	handedOutMu sync.Mutex
	handedOut   = map[string]bool{}
)

// FreeAddress returns a host:port of this machine on which nothing listens. It stays free while its owner restarts.
// It returns each address only once.
func FreeAddress() (string, error) {
	handedOutMu.Lock()
	defer handedOutMu.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if handedOut[address] {
			continue
		}
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		handedOut[address] = true
		return address, listener.Close()
	}
	return "", errors.New("free address: no port left")
}
