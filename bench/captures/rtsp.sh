# ffmpeg publishes a second of video to ffmpeg over RTSP, interleaved in TCP.
need ffmpeg ffmpeg

server ffmpeg -nostdin -rtsp_flags listen -i rtsp://192.0.2.2:554/live -f null -
wait_tcp 554

record rtsp tcp port 554
client timeout 30 ffmpeg -nostdin -v error -re -f lavfi -i testsrc=size=32x32:rate=5 -t 1 -c:v mpeg4 \
	-f rtsp -rtsp_transport tcp 'rtsp://192.0.2.2:554/live?token=hunter2' >"$WORK/client.log" 2>&1 || true
save
