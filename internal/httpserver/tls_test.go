package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/testenv/short"
	"github.com/blox/blox/internal/tlsconfig"
)

// protocols is what a client may speak over TLS.
var protocols = map[string]func(*http.Protocols){
	"HTTP/1.1": func(p *http.Protocols) { p.SetHTTP1(true) },
	"HTTP/2":   func(p *http.Protocols) { p.SetHTTP2(true) },
}

// overTLS runs a test with each protocol. Its serve is start, over TLS with certificates on both sides.
func overTLS(
	t *testing.T,
	run func(t *testing.T, protocol string, serve func(http.HandlerFunc, logrus.FieldLogger, settings) *served),
) {
	ca := testenv.NewCA(t)
	server, client := ca.Files("server"), ca.Files("client")
	for protocol, speak := range protocols {
		t.Run(protocol, func(t *testing.T) {
			run(t, protocol, func(handler http.HandlerFunc, log logrus.FieldLogger, s settings) *served {
				with, err := WithTLSFiles(server, false, log)
				require.NoError(t, err)
				with(&s)
				own, err := tlsconfig.Load(client, log)
				require.NoError(t, err)
				served := start(t, handler, log, s)
				transport := served.client.Transport.(*http.Transport)
				transport.TLSClientConfig, transport.Protocols = own.Client(), new(http.Protocols)
				speak(transport.Protocols)
				served.url = strings.Replace(served.url, "http://", "https://", 1)
				return served
			})
		})
	}
}

func TestServe_StreamsOverTLS(t *testing.T) {
	short.Skip(t, "waits for timeouts of a second")
	overTLS(t, func(t *testing.T, protocol string, serve func(http.HandlerFunc, logrus.FieldLogger, settings) *served) {
		brief := defaults
		brief.writeTimeout = time.Second
		next := make(chan string)
		log, _ := logged()
		server := serve(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, protocol, strings.TrimSuffix(r.Proto, ".0"))
			ctx, cancel := StreamContext(r)
			defer cancel()
			assert.NoError(t, http.NewResponseController(w).Flush())
			for {
				select {
				case line := <-next:
					assert.NoError(t, WriteAndFlush(w, []byte(line)))
				case <-ctx.Done():
					return
				}
			}
		}, log, brief)
		answer, err := server.client.Get(server.url)
		require.NoError(t, err)
		defer answer.Body.Close()
		body := bufio.NewReader(answer.Body)
		for _, line := range []string{"one\n", strings.Repeat("x", 100_000) + "\n", "three\n"} {
			time.Sleep(brief.writeTimeout + brief.writeTimeout/4) // the timeout is for a write, not for the time between two
			next <- line
			got, err := body.ReadString('\n')
			require.NoError(t, err)
			assert.Equal(t, line, got)
		}
		server.stop()
		_, err = body.ReadByte()
		assert.ErrorIs(t, err, io.EOF, "a clean end")
		assert.NoError(t, server.wait())
	})
}

func TestServe_AbortsResponsesThatNoClientReadsOverTLS(t *testing.T) {
	short.Skip(t, "waits for timeouts of a second")
	overTLS(t, func(t *testing.T, _ string, serve func(http.HandlerFunc, logrus.FieldLogger, settings) *served) {
		brief := defaults
		brief.writeTimeout = time.Second
		log, _ := logged()
		cut := make(chan error, 1)
		server := serve(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/stalled" {
				_, _ = io.WriteString(w, "hello")
				return
			}
			for {
				if err := WriteAndFlush(w, bytes.Repeat([]byte("x"), 100_000)); err != nil {
					cut <- err
					panic(http.ErrAbortHandler)
				}
			}
		}, log, brief)
		answer, err := server.client.Get(server.url + "/stalled")
		require.NoError(t, err)
		defer answer.Body.Close()
		status, body := server.get(t, "/") // over HTTP/2 on the same connection
		assert.Equal(t, 200, status)
		assert.Equal(t, "hello", body)
		assert.Error(t, <-cut)
		_, err = io.Copy(io.Discard, answer.Body)
		assert.Error(t, err, "a cut, not a clean end")
	})
}

// A client that reads nothing from its connection, unlike one that gives a single stream no window.
func TestServe_ClosesDeadConnectionsOverHTTP2(t *testing.T) {
	short.Skip(t, "waits for timeouts of a second")
	ca := testenv.NewCA(t)
	brief := defaults
	brief.writeTimeout = time.Second
	log, _ := logged()
	with, err := WithTLSFiles(ca.Files("server"), false, log)
	require.NoError(t, err)
	with(&brief)
	cut := make(chan error, 1)
	server := start(t, func(w http.ResponseWriter, r *http.Request) {
		for {
			if err := WriteAndFlush(w, bytes.Repeat([]byte("x"), 100_000)); err != nil {
				cut <- err
				return
			}
		}
	}, log, brief)
	own, err := tlsconfig.Load(ca.Files("client"), log)
	require.NoError(t, err)
	deaf := make(chan struct{})
	transport := server.client.Transport.(*http.Transport)
	transport.TLSClientConfig, transport.Protocols = own.Client(), new(http.Protocols)
	transport.Protocols.SetHTTP2(true)
	transport.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 1 << 30, MaxReceiveBufferPerConnection: 1 << 30}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &deafConn{Conn: conn, deaf: deaf, closed: make(chan struct{})}, err
	}
	answer, err := server.client.Get(strings.Replace(server.url, "http://", "https://", 1))
	require.NoError(t, err)
	close(deaf)
	assert.Error(t, <-cut)
	answer.Body.Close()
}

// deafConn reads nothing once it is deaf.
type deafConn struct {
	net.Conn
	deaf, closed chan struct{}
}

func (c *deafConn) Read(p []byte) (int, error) {
	select {
	case <-c.deaf:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return c.Conn.Read(p)
	}
}

func (c *deafConn) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return c.Conn.Close()
}

func TestServe_WaitsForHandlersOverTLS(t *testing.T) {
	overTLS(t, func(t *testing.T, _ string, serve func(http.HandlerFunc, logrus.FieldLogger, settings) *served) {
		quick := defaults
		quick.drainTimeout = 20 * time.Millisecond
		log, _ := logged()
		under, release, ended := make(chan struct{}), make(chan struct{}), false
		server := serve(func(_ http.ResponseWriter, r *http.Request) {
			close(under)
			<-r.Context().Done()
			<-release
			ended = true
		}, log, quick)
		failed := make(chan error, 1)
		go func() {
			answer, err := server.client.Get(server.url)
			if err == nil {
				answer.Body.Close()
			}
			failed <- err
		}()
		<-under
		server.stop()
		assert.Error(t, <-failed)
		close(release)
		assert.NoError(t, server.wait())
		assert.True(t, ended, "Serve returned before the handler")
	})
}

func TestServe_LimitsBodiesOverTLS(t *testing.T) {
	short.Skip(t, "waits for timeouts of a second")
	overTLS(t, func(t *testing.T, _ string, serve func(http.HandlerFunc, logrus.FieldLogger, settings) *served) {
		log, _ := logged()
		hasty := defaults
		hasty.bodyTimeout = 2 * time.Second
		server := serve(readBody(log), log, hasty)
		never, _ := io.Pipe()
		defer never.Close()
		for _, tc := range []struct {
			body io.Reader
			want int
		}{
			{strings.NewReader(strings.Repeat("x", maxBody)), 200},
			{strings.NewReader(strings.Repeat("x", maxBody+1)), 413},
			{io.LimitReader(endless{}, maxBody+1), 413},
			{endlessly{io.MultiReader(strings.NewReader("x"), never), never}, 408},
		} {
			answer, err := server.client.Post(server.url, "", tc.body)
			require.NoError(t, err)
			answer.Body.Close()
			assert.Equal(t, tc.want, answer.StatusCode)
		}
	})
}

// endlessly is a body that the client ends when it is closed.
type endlessly struct {
	io.Reader
	io.Closer
}

func TestWriteAndFlush_NeedsOneWriteOverTLS(t *testing.T) {
	ca := testenv.NewCA(t)
	files := ca.Files("server")
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listener := &countingListener{Listener: inner}
	with, err := WithTLSFiles(files, false, testenv.Logger(t))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			assert.NoError(t, http.NewResponseController(w).Flush())
			for _, size := range []int{1, 1000, 3000, 12_000, 100_000} {
				before := listener.writes.Load()
				assert.NoError(t, WriteAndFlush(w, bytes.Repeat([]byte("x"), size)))
				assert.EqualValues(t, 1+size/pieceSize, listener.writes.Load()-before, "writes of %d bytes", size)
			}
		}), testenv.Logger(t), with)
	}()
	own, err := tlsconfig.Load(ca.Files("client"), testenv.Logger(t))
	require.NoError(t, err)
	client := &http.Client{Transport: own.Transport()} // HTTP/1.1, as daemon-scheduler's is
	answer, err := client.Get("https://" + inner.Addr().String())
	require.NoError(t, err)
	assert.Equal(t, 1, answer.ProtoMajor)
	_, err = io.Copy(io.Discard, answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	client.CloseIdleConnections()
	stop()
	assert.NoError(t, <-ended)
}

func TestServe_RejectsHTTPWithAHintToHTTPS(t *testing.T) {
	log, _ := logged()
	s := defaults
	with, err := WithTLSFiles(testenv.NewCA(t).Files("server"), false, log)
	require.NoError(t, err)
	with(&s)
	server := start(t, func(http.ResponseWriter, *http.Request) { t.Error("answered") }, log, s)
	status, body := server.get(t, "/")
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, body, "HTTPS")
}

func TestHealthcheck_ReportsReadiness(t *testing.T) {
	log, _ := logged()
	ca := testenv.NewCA(t)
	own := ca.Files("server", testenv.Leaf{ServerOnly: true})
	for name, files := range map[string]tlsconfig.Files{
		"http": {}, "https": {Cert: own.Cert, Key: own.Key}, "mutual": own,
	} {
		t.Run(name, func(t *testing.T) {
			s := defaults
			with, err := WithTLSFiles(files, false, log)
			require.NoError(t, err)
			with(&s)
			ready := false
			server := start(t, func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "/v1/ready", r.URL.Path)
				if !ready {
					Error(w, r, Problem{Status: http.StatusServiceUnavailable, Detail: "etcd does not respond"})
				}
			}, log, s)
			_, port, err := net.SplitHostPort(server.url[len("http://"):])
			require.NoError(t, err)
			check := func() error { return Healthcheck(t.Context(), "0.0.0.0:"+port, "/v1/ready", files) }
			assert.EqualError(t, check(), "not ready: status 503: etcd does not respond")
			ready = true
			assert.NoError(t, check())
			server.stop()
			testenv.Eventually(t, server.refuses)
			assert.ErrorContains(t, check(), "refused")
		})
	}
}

func TestLocalAddress_ReplacesWildcardHosts(t *testing.T) {
	for bind, want := range map[string]string{
		"0.0.0.0:3000": "127.0.0.1:3000", ":3000": "127.0.0.1:3000", "[::]:3000": "[::1]:3000",
		"10.0.0.5:3000": "10.0.0.5:3000", "localhost:3000": "localhost:3000",
	} {
		got, err := localAddress(bind)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := localAddress("127.0.0.1:0")
	assert.ErrorContains(t, err, "port 0")
}
