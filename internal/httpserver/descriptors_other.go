//go:build !unix

package httpserver

// maxConnections is 0: no limit.
func maxConnections() int64 { return 0 }
