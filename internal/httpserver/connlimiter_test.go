package httpserver

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// Streams use up what connections there may be: one more is closed at once, until one of them leaves.
func TestServe_LimitsConnections(t *testing.T) {
	few := defaults
	few.maxConnections = 2
	log, lines := logged()
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := StreamContext(r)
		defer cancel()
		assert.NoError(t, http.NewResponseController(w).Flush())
		<-ctx.Done()
	}, log, few)
	open := func() (net.Conn, error) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.url, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") // it may be closed already
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err == nil {
			assert.Contains(t, line, "200")
		}
		return conn, err
	}
	first, err := open()
	require.NoError(t, err)
	_, err = open()
	require.NoError(t, err)
	for range 10 {
		_, err = open()
		require.Error(t, err)
	}
	assert.EqualValues(
		t, 2, line(t, lines, "connections rejected: too few file descriptors (ulimit -n)").Data["connections"],
	)
	first.Close()
	testenv.Eventually(t, func() bool { _, err := open(); return err == nil })
}

func TestConnectionLimit_FollowsFileDescriptors(t *testing.T) {
	for descriptors, connections := range map[int64]int64{20_000: 17_500, 1024: 896, 256: 192, 64: 1, 0: 1} {
		assert.Equal(t, connections, connectionLimit(descriptors), descriptors)
	}
	assert.Equal(t, defaults.maxConnections, maxConnections())
}
