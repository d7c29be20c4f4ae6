//go:build !unix

package httpserver

// mostConnections is 0, for any number.
func mostConnections() int64 { return 0 }
