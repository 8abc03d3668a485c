"""Our own sentences, by espeak-ng voice (ca, mr, te: festival only); the trainer also shuffles their words."""

from __future__ import annotations

SENTENCES: dict[str, str] = {
    "en-us": """
The morning bus was late again, so Martha walked across the bridge with a paper bag full of bread.
Please put both boxes by the back door before the painters bring the big ladder.
My brother bought five black pepper plants and placed them above the bathroom window.
Why would anybody want to move to a village where the wind never stops blowing?
She said the shop on the corner sells shoes, shirts, and very cheap umbrellas.
We found four famous photographs of the old harbour in a faded brown folder.
Could you tell me how much further it is to the railway station?
Robert opened the oven, took out the warm apple pie, and burned his thumb.
In the middle of February the river froze and the children skated home from school.
Nobody knew who had moved the map from the wall of the meeting room.
Usually the judge asks a simple question and then waits for a very long answer.
Take a deep breath, count to ten, and think about something pleasant.
The government promised to build more homes, but people have heard that before.
Bob and Pam made a huge mess when they mixed the blue paint with the butter.
I believe that every voice should be heard, even if it is a quiet one.
Yes, we tried that yesterday, and it did not work at all.
The weather will be cloudy with a chance of heavy rain in the evening.
Three thousand people gathered in the park to watch the fireworks above the lake.
Give me a minute to finish this chapter, then we can leave for the theatre.
Our new neighbour plays the trumpet every Wednesday, mostly after midnight.
Mom, maybe we should buy a bigger pump before the basement fills up.
You would be amazed by how many useful things she keeps in that purse.
The teacher wrote a few words on the board and asked everyone to repeat them.
Five wolves followed the herd over the frozen hills until the moon went down.
Put the phone away and look at me while I am talking to you.
It is a matter of trust between those who govern and those who are governed.
A jar of honey, a loaf of bread, a piece of cheese: that was all we had.
They argued about the measure for hours without coming to any conclusion.
Open your mouth wide and say ah, then close it and hum for a moment.
The vivid violet flowers beside the fountain have a very faint perfume.
What do you think about the proposal that was published this morning?
He joined the army at eighteen and came back as a completely different man.
Summer is my favourite time of the year because the evenings are so long.
To be honest, I have never been fond of boats, planes, or fast cars.
The church bell rang twelve times, and suddenly the whole square was empty.
Good evening and welcome to the programme; tonight we have a lot to talk about.
This small machine measures the pressure in the pipe and shows it on a screen.
Who will speak for the farmers if their own members remain silent?
Choose a fresh fish, wash it, rub it with salt, and bake it for half an hour.
I moved the meeting from Monday to Tuesday because of the public holiday.
""",
    "de": """
Am frühen Morgen fuhr der Bus über die schmale Brücke in das Dorf am Fluss.
Bitte bringen Sie mir ein Glas Wasser und ein Stück Butterbrot mit Käse.
Wir müssen übermorgen nach München fahren, weil meine Mutter Geburtstag hat.
Das Wetter bleibt wechselhaft, und gegen Abend können kräftige Schauer fallen.
Warum hast du mir nicht früher gesagt, dass der Zug ausfällt?
Schöne grüne Bäume stehen vor dem Haus, in dem mein Bruder wohnt.
Der Präsident sprach über die Probleme der Wirtschaft und über neue Pläne.
""",
    "fr": """
Le petit garçon a perdu son chapeau rouge devant la boulangerie du village.
Nous avons parlé pendant deux heures sans trouver une seule bonne solution.
Pourriez-vous me dire où se trouve la gare, s'il vous plaît?
Ma mère prépare une soupe aux poireaux et une tarte aux pommes pour dimanche.
Les vieux bateaux bleus bougent doucement dans le port quand le vent se lève.
Je ne veux pas que tu partes avant la fin du film.
""",
    "es": """
El perro blanco corre por la playa mientras los niños juegan con la pelota.
Mañana por la mañana vamos a comprar pan, leche y un poco de queso fresco.
Me gustaría saber por qué nadie respondió a la pregunta del profesor.
La lluvia empezó de repente y tuvimos que volver a casa sin paraguas.
Mi abuelo vivía en un pueblo muy pequeño cerca de las montañas.
Buenos días, bienvenidos al programa de hoy, hablaremos de economía.
""",
    "it": """
La mia famiglia mangia sempre insieme la domenica, anche quando piove.
Vorrei un bicchiere di vino rosso e un piatto di pasta con i funghi.
Il treno per Bologna parte fra pochi minuti dal primo binario.
Questa mattina abbiamo visto un bel film sulla vita di un pescatore.
Perché non mi hai chiamato prima di uscire di casa?
""",
    "pt-br": """
O menino pegou a bola e correu para a praia com os amigos.
Bom dia, eu gostaria de comprar um bilhete para a próxima sessão.
A minha avó fazia o melhor bolo de milho de toda a vizinhança.
Ninguém sabe quando a obra da ponte vai terminar.
Hoje à tarde vamos passear pelo jardim e depois tomar um café.
""",
    "nl": """
De oude man woonde alleen in een klein huis bij de brug over de rivier.
Morgen gaan wij met de trein naar Utrecht om vrienden te bezoeken.
Wil je mij even helpen met het dragen van deze zware dozen?
Het regende zo hard dat de straten binnen een uur blank stonden.
""",
    "pl": """
Wczoraj wieczorem padał deszcz, więc zostaliśmy w domu i graliśmy w karty.
Proszę mi powiedzieć, gdzie jest najbliższy przystanek autobusowy.
Moja siostra pracuje w szpitalu i bardzo lubi swoją pracę.
Wszyscy byli zmęczeni, ale nikt nie chciał jeszcze wracać.
""",
    "ru": """
Сегодня утром мы поехали на рынок и купили хлеб, молоко и яблоки.
Мой брат работает в большом городе и приезжает домой только летом.
Почему вы не сказали мне об этом раньше, пока было время?
Погода была хорошая, и дети весь день играли в парке у реки.
""",
    "tr": """
Bugün hava çok güzel, bu yüzden bütün gün bahçede oturduk.
Annem mutfakta börek yapıyor, babam da gazete okuyor.
Lütfen kapıyı kapatmadan önce pencereleri kontrol edin.
""",
    "sv": """
På morgonen gick vi ner till sjön för att bada och plocka blåbär.
Min mormor bodde i ett rött hus vid skogen hela sitt liv.
Kan du hjälpa mig att flytta det här bordet till köket?
""",
    "fi": """
Huomenna lähdemme junalla pohjoiseen katsomaan vanhoja ystäviä.
Äiti leipoi pullaa, ja koko talo tuoksui hyvältä.
Miksi kukaan ei vastannut puhelimeen koko päivänä?
""",
    "hu": """
Tegnap este sokáig beszélgettünk a barátaimmal a folyóparton.
Kérem, mondja meg, hol van a legközelebbi gyógyszertár.
A gyerekek vidáman futottak az iskola felé a hóban.
""",
    "cs": """
Dnes ráno jsme šli pěšky přes most a koupili čerstvý chléb.
Můj bratr bydlí v malém městě blízko hor a má dva psy.
Prosím vás, kdy odjíždí příští vlak do Brna?
""",
    "ro": """
Astăzi dimineață am cumpărat pâine, brânză și câteva mere roșii.
Bunica mea spunea mereu povești frumoase lângă sobă.
Vă rog să îmi spuneți unde este gara.
""",
    "hi": """
आज सुबह हम बाज़ार गए और हमने फल और सब्ज़ियाँ खरीदीं।
मेरा भाई बड़े शहर में काम करता है और कभी कभी घर आता है।
कृपया मुझे बताइए कि स्टेशन कहाँ है।
""",
    "ar": """
ذهبنا هذا الصباح إلى السوق واشترينا الخبز والجبن والتفاح.
أخي يعمل في مدينة كبيرة ويعود إلى البيت في الصيف.
""",
    "id": """
Pagi ini kami pergi ke pasar untuk membeli ikan, sayur, dan buah pisang.
Adik saya bekerja di kota besar dan pulang setiap bulan.
Tolong beritahu saya di mana stasiun kereta yang terdekat.
""",
    "sw": """
Asubuhi hii tulikwenda sokoni kununua mkate, maziwa na ndizi mbivu.
Ndugu yangu anafanya kazi mjini na hurudi nyumbani kila mwezi.
""",
    "vi": """
Sáng nay chúng tôi đi chợ mua bánh mì, sữa và vài quả táo.
Anh trai tôi làm việc ở thành phố lớn và mỗi tháng về nhà một lần.
""",
    "ja": """
きょうの あさ わたしたちは いちばで パンと ぎゅうにゅうを かいました。
おとうとは おおきな まちで はたらいて います。
えきは どこに ありますか、 おしえて ください。
""",
    "ko": """
오늘 아침에 우리는 시장에 가서 빵과 우유를 샀습니다.
제 동생은 큰 도시에서 일하고 한 달에 한 번 집에 옵니다.
""",
    "ca": """
Bon dia, avui anem al mercat a comprar pa, peix i formatge fresc.
El meu germà treballa en una ciutat gran i torna a casa cada mes.
Podria dir-me on és l'estació de tren, si us plau?
Demà farà molt vent i potser plourà a la tarda.
Els veïns van preparar un bon sopar per a tothom.
Jo voldria una mica d'aigua i un tros de xocolata.
La mestra va obrir la finestra perquè feia massa calor.
""",
    "mr": """
आज सकाळी आम्ही बाजारात गेलो आणि भाजी घेतली.
माझा भाऊ मोठ्या शहरात काम करतो आणि दर महिन्याला घरी येतो.
स्टेशन कुठे आहे ते मला सांगाल का?
उद्या दुपारी पाऊस पडेल असे वाटते.
मुले बागेत खेळत होती आणि आई पुस्तक वाचत होती.
""",
    "te": """
ఈ రోజు ఉదయం మేము బజారుకు వెళ్ళి పండ్లు కొన్నాము.
మా తమ్ముడు పెద్ద నగరంలో పని చేస్తున్నాడు.
రైలు స్టేషన్ ఎక్కడ ఉందో చెప్పగలరా?
రేపు మధ్యాహ్నం వర్షం పడవచ్చు.
పిల్లలు తోటలో ఆడుకుంటున్నారు, అమ్మ పుస్తకం చదువుతోంది.
""",
    "cmn-latn-pinyin": """
jin1 tian1 zao3 shang4 wo3 men5 qu4 shi4 chang3 mai3 mian4 bao1 he2 niu2 nai3.
wo3 de5 di4 di5 zai4 da4 cheng2 shi4 gong1 zuo4, mei3 ge4 yue4 hui2 jia1 yi2 ci4.
qing3 wen4, huo3 che1 zhan4 zai4 na3 li3?
wo3 men5 ying1 gai1 ren4 zhen1 tao3 lun4 zhe4 ge4 wen4 ti2, bu2 yao4 fang4 qi4.
""",
}

SPELLED = ("en-us", "it", "cs", "fi", "es", "de", "fr", "pt-br", "pl", "nl", "sv", "ro", "tr", "hu", "id", "sw", "ca")
"""Languages whose letters can be recombined to new words."""


def lines(voice: str) -> list[str]:
    """The sentences of one voice."""
    return [line for line in SENTENCES[voice].strip().splitlines() if line]


def words(voice: str) -> list[str]:
    """All words of one voice's sentences."""
    return [w.strip(".,;:?!।、。") for line in lines(voice) for w in line.split()]
