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

// Simulator is a client of internal/ecssim: of its control API and of its ECS. Requests are not signed, so a real ECS
// would reject them.
type Simulator struct {
	service service
	client  *http.Client
}

// Control sends a request to the control API and returns the JSON response. path is below /_sim/; body may be nil.
func (s *Simulator) Control(
	ctx context.Context, method, path string, query url.Values, body []byte,
) (json.RawMessage, error) {
	return s.send(ctx, method, "/_sim/"+path+"?"+query.Encode(), http.Header{}, body)
}

// ECS calls an action of the simulated ECS with input and decodes the response into output.
func (s *Simulator) ECS(ctx context.Context, action string, input, output any) error {
	body, err := json.Marshal(input)
	if err != nil {
		return err
	}
	response, err := s.send(ctx, http.MethodPost, "/", http.Header{
		"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"AmazonEC2ContainerServiceV20141113." + action},
	}, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(response, output); err != nil {
		return s.service.wrap(ctx, fmt.Errorf("decode the response to %s: %w", action, err))
	}
	return nil
}

func (s *Simulator) send(
	ctx context.Context, method, path string, header http.Header, body []byte,
) (json.RawMessage, error) {
	limited, cancel := context.WithTimeout(ctx, s.service.cfg.Timeout)
	defer cancel()
	base, _ := parseEndpoint(s.service.endpoint) // Validate has accepted it
	request, err := http.NewRequestWithContext(limited, method, base.String()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = header
	request.Header.Set("User-Agent", version.UserAgent())
	response, err := s.client.Do(request)
	if err != nil {
		return nil, s.service.wrap(ctx, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, s.service.wrap(ctx, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, s.service.wrap(ctx, &ResponseError{response.StatusCode, errorMessage(text)})
	}
	return text, nil
}

// errorMessage returns the message of an error response of the control API or of ECS.
func errorMessage(body []byte) string {
	var response struct {
		Error   string `json:"error"`
		Message string `json:"message"` // ECS uses either spelling
	}
	if err := json.Unmarshal(body, &response); err == nil && response.Error+response.Message != "" {
		return response.Error + response.Message
	}
	return strings.TrimSpace(string(body))
}
