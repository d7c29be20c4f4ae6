package harness_test

import (
	"bufio"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/testenv"
)

// echoServer returns every line that it receives.
func echoServer(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				lines := bufio.NewReader(c)
				for line, err := lines.ReadString('\n'); err == nil; line, err = lines.ReadString('\n') {
					_, _ = c.Write([]byte(line))
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func TestProxy_DisconnectsHoldsAndDelays(t *testing.T) {
	p, err := harness.NewProxy(echoServer(t))
	require.NoError(t, err)
	defer p.Close()
	echo := func(c net.Conn) error {
		_, err := c.Write([]byte("hello\n"))
		if err == nil {
			_, err = bufio.NewReader(c).ReadString('\n')
		}
		return err
	}
	dial := func() net.Conn {
		c, err := net.Dial("tcp", p.Address())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(30*time.Second)))
		return c
	}
	first := dial()
	require.NoError(t, echo(first))
	p.SetDisconnected(true)
	assert.Error(t, echo(first), "an open connection is broken")
	assert.Error(t, echo(dial()), "a new connection is refused")
	p.SetDisconnected(false)

	second := dial()
	require.NoError(t, echo(second))
	p.Hold()
	answered := make(chan error, 1)
	go func() { answered <- echo(second) }()
	testenv.Eventually(t, func() bool { return p.HeldBytes() == len("hello\n") })
	assert.Empty(t, answered)
	p.Deliver()
	assert.NoError(t, <-answered)

	p.Hold()
	go func() { answered <- echo(second) }()
	testenv.Eventually(t, func() bool { return p.HeldBytes() > 0 })
	p.SetDisconnected(false)
	assert.Error(t, <-answered, "held data is lost")
	p.SetDelay(time.Millisecond)
	assert.NoError(t, echo(dial()))
}
