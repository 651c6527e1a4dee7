# ffmpeg publishes a second of video to ffmpeg over RTSP, and plays one from
# GStreamer's server, both interleaved in TCP.
need ffmpeg ffmpeg

server ffmpeg -nostdin -rtsp_flags listen -i rtsp://192.0.2.2:554/live -f null -
wait_tcp 554

record rtsp tcp port 554
client timeout 30 ffmpeg -nostdin -v error -re -f lavfi -i testsrc=size=32x32:rate=5 -t 1 -c:v mpeg4 \
	-f rtsp -rtsp_transport tcp 'rtsp://192.0.2.2:554/live?token=hunter2' >"$WORK/client.log" 2>&1 || true
save

/usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' 2>/dev/null ||
	need gst-rtsp-server 'python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good'
cat >"$WORK/play.py" <<'PY'
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer.new()
server.set_address("192.0.2.2")
server.set_service("8554")
media = GstRtspServer.RTSPMediaFactory.new()
media.set_launch("( videotestsrc num-buffers=15 ! video/x-raw,format=I420,width=32,height=32,framerate=5/1 ! jpegenc quality=10 ! rtpjpegpay name=pay0 pt=26 )")
server.get_mount_points().add_factory("/cam", media)
server.attach(None)
GLib.MainLoop().run()
PY
server /usr/bin/python3 "$WORK/play.py"
wait_tcp 8554
record play tcp port 8554
client timeout 30 ffmpeg -nostdin -v error -rtsp_transport tcp -i 'rtsp://192.0.2.2:8554/cam?token=hunter2' -t 1 -f null - >"$WORK/client.log" 2>&1 || true
client timeout 30 ffmpeg -nostdin -v error -rtsp_transport tcp -i 'rtsp://192.0.2.2:8554/nowhere' -t 1 -f null - >"$WORK/client.log" 2>&1 || true
save
