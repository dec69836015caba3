// Peers of bench/scrape.py: the rm families of a fleet by client_golang and by a hand-written appender.
//
//	peers -kind client|append -hosts 10000 -rounds 3     prints {"cpu_ms": ..., "bytes": ...} of one gzip body
//	peers -kind client|append -hosts 10000 -listen :0    serves /metrics; prints its address
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sort"
	"strconv"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type host struct {
	id, name string
	values   [7]float64
}

var names = [7]string{
	"rm_host_agent_online", "rm_host_last_backup_success", "rm_host_last_backup_timestamp_seconds",
	"rm_host_open_alerts", "rm_host_repo_size_bytes", "rm_host_repo_status", "rm_host_snapshot_count",
}

var kinds = []string{"backup", "check", "diff", "forget", "init", "prune", "restore", "unlock", "update"}
var statuses = []string{"cancelled", "failed", "succeeded"}
var bounds = []float64{1, 5, 30, 60, 300, 1800, 3600, 21600, 86400}

func fleet(count int) []host {
	hosts := make([]host, count)
	for i := range hosts {
		// As random as the end of a ULID is.
		mixed := uint64(i+1) * 0x9E3779B97F4A7C15
		hosts[i] = host{
			id:     fmt.Sprintf("01KHV%05X%016X", i, mixed),
			name:   fmt.Sprintf("host-%05d", i),
			values: [7]float64{1, 1, float64(1772416800 + i%86400), 0, float64(2000000000 + mixed%7000000000), 1, float64(mixed % 400)},
		}
	}
	return hosts
}

// client_golang, with a collector of constant metrics, as its documentation has it for values that live elsewhere.
type collector struct {
	hosts     []host
	descs     [7]*prometheus.Desc
	durations *prometheus.Desc
}

func newCollector(hosts []host) *collector {
	c := &collector{hosts: hosts}
	for i, name := range names {
		labels := []string{"host_id", "host"}
		if i == 5 {
			labels = append(labels, "status")
		}
		c.descs[i] = prometheus.NewDesc(name, "A help.", labels, nil)
	}
	c.durations = prometheus.NewDesc("rm_job_duration_seconds", "A help.", []string{"kind", "status"}, nil)
	return c
}

func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range c.descs {
		out <- desc
	}
	out <- c.durations
}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	for _, h := range c.hosts {
		for i, desc := range c.descs {
			labels := []string{h.id, h.name}
			if i == 5 {
				labels = append(labels, "ready")
			}
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, h.values[i], labels...)
		}
	}
	buckets := map[float64]uint64{}
	for i, bound := range bounds {
		buckets[bound] = uint64(i)
	}
	for _, kind := range kinds {
		for _, status := range statuses {
			out <- prometheus.MustNewConstHistogram(c.durations, 10, 1234, buckets, kind, status)
		}
	}
}

// The hand-written appender: no registry, no checks, one buffer.
func render(hosts []host, out []byte) []byte {
	for i, name := range names {
		out = append(append(append(out, "# HELP "...), name...), " A help.\n# TYPE "...)
		out = append(append(out, name...), " gauge\n"...)
		for j := range hosts {
			h := &hosts[j]
			out = append(append(append(out, name...), `{host_id="`...), h.id...)
			out = append(append(append(out, `",host="`...), h.name...), '"')
			if i == 5 {
				out = append(out, `,status="ready"`...)
			}
			out = append(out, "} "...)
			out = append(strconv.AppendInt(out, int64(h.values[i]), 10), '\n')
		}
	}
	out = append(out, "# HELP rm_job_duration_seconds A help.\n# TYPE rm_job_duration_seconds histogram\n"...)
	for _, kind := range kinds {
		for _, status := range statuses {
			for i, bound := range bounds {
				out = fmt.Appendf(out, "rm_job_duration_seconds_bucket{kind=%q,status=%q,le=\"%g\"} %d\n", kind, status, bound, i)
			}
			out = fmt.Appendf(out, "rm_job_duration_seconds_bucket{kind=%q,status=%q,le=\"+Inf\"} 10\n", kind, status)
			out = fmt.Appendf(out, "rm_job_duration_seconds_sum{kind=%q,status=%q} 1234\n", kind, status)
			out = fmt.Appendf(out, "rm_job_duration_seconds_count{kind=%q,status=%q} 10\n", kind, status)
		}
	}
	return out
}

func handler(kind string, hosts []host) http.Handler {
	if kind == "client" {
		registry := prometheus.NewRegistry()
		registry.MustRegister(newCollector(hosts))
		return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		zip.Write(render(hosts, nil))
		zip.Close()
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(packed.Len()))
		w.Write(packed.Bytes())
	})
}

func cpu() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	spent := func(t syscall.Timeval) float64 { return float64(t.Sec)*1000 + float64(t.Usec)/1000 }
	return spent(usage.Utime) + spent(usage.Stime)
}

func main() {
	kind := flag.String("kind", "client", "client or append")
	count := flag.Int("hosts", 10000, "hosts")
	rounds := flag.Int("rounds", 3, "rounds")
	listen := flag.String("listen", "", "serve here instead")
	flag.Parse()
	serve := handler(*kind, fleet(*count))
	if *listen != "" {
		socket, err := net.Listen("tcp", *listen)
		if err != nil {
			panic(err)
		}
		fmt.Println(socket.Addr())
		http.HandleFunc("/cpu", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, cpu()) })
		http.Handle("/metrics", serve)
		panic(http.Serve(socket, nil))
	}
	spent, size := []float64{}, 0
	for i := 0; i <= *rounds; i++ {
		request := httptest.NewRequest("GET", "/metrics", nil)
		request.Header.Set("Accept-Encoding", "gzip")
		request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
		answer, before := httptest.NewRecorder(), cpu()
		serve.ServeHTTP(answer, request)
		if size = answer.Body.Len(); i > 0 {
			spent = append(spent, cpu()-before)
		}
	}
	sort.Float64s(spent)
	told, _ := json.Marshal(map[string]float64{"cpu_ms": spent[len(spent)/2], "bytes": float64(size)})
	fmt.Println(string(told))
}
