// Package short skips the tests that go test -short leaves out. It imports nothing but testing, so that a test that
// uses it links quickly.
package short

import "testing"

// Skip skips the test with -short. The reason completes "this test", as in "starts an etcd".
func Skip(tb testing.TB, reason string) {
	tb.Helper()
	if testing.Short() {
		tb.Skipf("-short: this test %s", reason)
	}
}
