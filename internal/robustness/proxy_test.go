package robustness

import (
	"bufio"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// echo answers every line with itself.
func echo(t *testing.T) (address string) {
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

func TestALinkCanBeCutAndHold(t *testing.T) {
	l, err := newLink(echo(t))
	require.NoError(t, err)
	defer l.close()
	ask := func(c net.Conn) error {
		_, err := c.Write([]byte("hello\n"))
		if err == nil {
			_, err = bufio.NewReader(c).ReadString('\n')
		}
		return err
	}
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.address())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(30*time.Second)))
		return c
	}
	first := dial()
	require.NoError(t, ask(first))
	l.cut(true)
	assert.Error(t, ask(first), "it is broken")
	assert.Error(t, ask(dial()), "and nobody gets through")
	l.cut(false)

	second := dial()
	require.NoError(t, ask(second))
	l.hold()
	answered := make(chan error, 1)
	go func() { answered <- ask(second) }()
	testenv.Eventually(t, func() bool { return l.holds() == len("hello\n") })
	assert.Empty(t, answered)
	l.deliver()
	assert.NoError(t, <-answered)

	l.hold()
	go func() { answered <- ask(second) }()
	testenv.Eventually(t, func() bool { return l.holds() > 0 })
	l.cut(false)
	assert.Error(t, <-answered, "what was held is lost")
	l.slow(time.Millisecond)
	assert.NoError(t, ask(dial()))
}
