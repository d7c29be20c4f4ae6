package connect

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/blox/blox/internal/version"
)

// Simulator is a client of internal/ecssim: of its control API, and of the ECS it simulates. Requests are not signed, which
// a real ECS would refuse.
type Simulator struct {
	service service
	client  *http.Client
}

// Control sends a request of the control API: path is below /_sim/, body may be nil. It returns the answer, which is JSON.
func (s *Simulator) Control(ctx context.Context, method, path string, query url.Values, body []byte) (json.RawMessage, error) {
	return s.send(ctx, method, "/_sim/"+path+"?"+query.Encode(), http.Header{}, body)
}

// ECS calls an action of the simulated ECS with input, and reads the answer into output.
func (s *Simulator) ECS(ctx context.Context, action string, input, output any) error {
	body, err := json.Marshal(input)
	if err != nil {
		return err
	}
	answer, err := s.send(ctx, http.MethodPost, "/", http.Header{
		"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"AmazonEC2ContainerServiceV20141113." + action},
	}, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, output); err != nil {
		return s.service.failed(ctx, fmt.Errorf("answer to %s: %w", action, err))
	}
	return nil
}

func (s *Simulator) send(ctx context.Context, method, path string, header http.Header, body []byte) (json.RawMessage, error) {
	limited, cancel := context.WithTimeout(ctx, s.service.cfg.Timeout)
	defer cancel()
	base, _ := parseEndpoint(s.service.endpoint) // as Problem has seen to
	request, err := http.NewRequestWithContext(limited, method, base.String()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = header
	request.Header.Set("User-Agent", version.UserAgent())
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, s.service.failed(ctx, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, s.service.failed(ctx, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, s.service.failed(ctx, &Refused{answer.StatusCode, refusalOf(text)})
	}
	return text, nil
}

// refusalOf is the message in a refusal of the control API or of ECS.
func refusalOf(body []byte) string {
	var told struct {
		Error   string `json:"error"`
		Message string `json:"message"` // of ECS, which spells it in both ways
	}
	if err := json.Unmarshal(body, &told); err == nil && told.Error+told.Message != "" {
		return told.Error + told.Message
	}
	return strings.TrimSpace(string(body))
}
