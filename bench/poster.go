package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
)

// poster is a light HTTP client on one connection: net/http's own would take as much of the
// machine as the daemon that is measured.
type poster struct {
	nc  net.Conn
	in  *bufio.Reader
	out bytes.Buffer
}

func dialPoster(ctx context.Context, socket string) (*poster, error) {
	nc, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	return &poster{nc: nc, in: bufio.NewReader(nc)}, nil
}

func (p *poster) close() { p.nc.Close() }

// do sends one request and reads its answer into v unless that is nil.
func (p *poster) do(method, path string, body []byte, want int, v any) error {
	p.out.Reset()
	fmt.Fprintf(&p.out, "%s %s HTTP/1.1\r\nHost: queuemgr\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", method, path, len(body))
	p.out.Write(body)
	if _, err := p.nc.Write(p.out.Bytes()); err != nil {
		return err
	}
	resp, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == want && v == nil {
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%s %s: %s\n%s", method, path, resp.Status, answer)
	}
	return json.Unmarshal(answer, v)
}
