package testenv

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Address is a free address of this machine that stays free while nobody listens there, so that what is stopped can be started
// again in its place: the ports that the system gives to connections begin above 32767.
func Address(tb testing.TB) string {
	tb.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(22_000)))
		if listener, err := net.Listen("tcp", address); err == nil {
			require.NoError(tb, listener.Close())
			return address
		}
	}
	require.Fail(tb, "no free port")
	return ""
}
