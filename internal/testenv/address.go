package testenv

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/harness"
)

// FreeAddress returns a free host:port of this machine. It stays free while its owner restarts. See
// harness.FreeAddress.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	address, err := harness.FreeAddress()
	require.NoError(tb, err)
	return address
}
